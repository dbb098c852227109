"""Relevance: how well a few examples tell texts about a brand from others, on the Sanders corpus of tweets.

TOCSIN_SENTIMENT=/folder/with/train/and/eval python -m tests.bench.relevance
"""

import gzip
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from classify.bundled import FOLDER, Bundled
from classify.relevance import Relevance

BRANDS = ("apple", "google", "microsoft", "twitter")
DRAWS = 5


class Remembering:
    """The model, each text computed once."""

    def __init__(self, model: Bundled, texts: Sequence[str]) -> None:
        parts = [model.like(texts[i : i + 100]) for i in track(range(0, len(texts), 100), description="reading")]
        self._like = dict(zip(texts, np.concatenate(parts), strict=True))

    def like(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, width]."""
        return np.stack([self._like[text] for text in texts])


def f1(guess: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and recall."""
    return float(2 * (guess & truth).sum() / max(1, guess.sum() + truth.sum()))


def main() -> None:
    """Print F1 of both classes per brand, for 10 and 20 examples of each kind."""
    folder = os.environ.get("TOCSIN_SENTIMENT")
    if folder is None:
        sys.exit("Say where the sentiment sets are (folders train and eval): set TOCSIN_SENTIMENT.")
    with gzip.open(Path(folder) / "eval" / "en_sanders_brands_2011.all.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    model = Remembering(Bundled(Path(os.environ.get("TOCSIN_BUNDLE", FOLDER))), [row["text"] for row in rows])
    for each in (10, 20):
        for brand in BRANDS:
            about = [r["text"] for r in rows if r["brand"] == brand and r["label"]]
            other = [r["text"] for r in rows if r["brand"] == brand and not r["label"]]
            scores = [one_draw(model, about, other, each, seed) for seed in range(DRAWS)]
            a, b = np.mean(scores, axis=0)
            print(f"{each} + {each} examples  {brand:10} about it {a:.3f}  not about it {b:.3f}")


def one_draw(model: Remembering, about: list[str], other: list[str], each: int, seed: int) -> tuple[float, float]:
    """F1 of texts about the brand, and of those that are not, on the rows that are no examples."""
    chance = random.Random(seed)
    yes, no = chance.sample(about, len(about)), chance.sample(other, len(other))
    relevance = Relevance(model, yes[:each], no[:each])
    truth = np.array([True] * (len(yes) - each) + [False] * (len(no) - each))
    guess = relevance.of([*yes[each:], *no[each:]]) >= 0.5
    return f1(guess, truth), f1(~guess, ~truth)


if __name__ == "__main__":
    main()
