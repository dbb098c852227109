"""Near copies: how many are found, how many are wrong, how fast.

    TOCSIN_SENTIMENT=/folder/with/train/and/eval python -m tests.bench.stories

Texts of the sets are changed a little; each has to be found among thousands of others of its language. Hard negatives
begin with the words of another complaint and go on differently.
"""

import os
import random
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerting.story import Said, Stories, comparable, is_short, is_unspaced
from classify.training.measure import read_folder

LANGUAGES = ("en", "pl", "ru", "tr", "de", "es", "zh", "ja", "th")
ORIGINS, PAIRS = 3_000, 300
OPENING = 0.35
"""Share of a text that the opening of a hard negative is."""


def words_of(text: str) -> list[str]:
    """Words; of scripts without spaces pieces of two letters stand for them."""
    return re.findall("..?", text) if is_unspaced(text) else text.split(" ")


def joined(words: Sequence[str], like: str) -> str:
    """The way back."""
    return ("" if is_unspaced(like) else " ").join(words)


def changed(text: str, share: float, others: Sequence[str], chance: random.Random) -> str:
    """Some words left out, exchanged or put in, taken from other texts."""
    words = words_of(text)
    for _ in range(max(1, round(share * len(words)))):
        place, other = chance.randrange(len(words)), chance.choice(words_of(chance.choice(others)))
        words[place : place + chance.choice((1, 1, 0))] = chance.choice(([other], [other], []))
        if not words:
            return other
    return joined(words, text)


def opened_alike(text: str, other: str) -> str:
    """The opening of one text, the rest of another."""
    ours, theirs = words_of(text), words_of(other)
    return joined([*ours[: round(OPENING * len(ours))], *theirs[round(OPENING * len(theirs)) :]], text)


@dataclass(frozen=True, slots=True)
class Found:
    """Of the variants that are long enough to be compared."""

    tried: int
    right: int
    wrong: int

    @property
    def recall(self) -> float:
        """Share that was found to be a copy of the right text."""
        return self.right / max(1, self.tried)


def look_up(stories: Stories, variants: Iterable[tuple[str | None, str]]) -> Found:
    """Each (id of the origin or None, text) is placed into the index as it is, one after the other without the others."""
    tried = right = wrong = 0
    for origin, variant in variants:
        if is_short(comparable(variant)):
            continue
        placed = stories.look(Said("trial", variant))
        tried += 1
        right += placed.origin == origin
        wrong += placed.origin not in ("trial", origin)
    return Found(tried, right, wrong)


def one_language(texts: Sequence[str], seed: int) -> tuple[float, float, float, float, float]:
    """-> recall at 5 %, at 20 %, of first halves; precision with hard negatives; mentions a second."""
    chance = random.Random(seed)
    shuffled = list(texts)
    chance.shuffle(shuffled)
    unseen, shuffled = shuffled[: len(shuffled) // 5], shuffled[len(shuffled) // 5 :]
    stories = Stories()
    began = time.perf_counter()
    placed = [stories.place(Said(f"{i}", text), 0.0) for i, text in enumerate(shuffled)]
    speed = len(shuffled) / (time.perf_counter() - began)
    chosen = chance.sample([p.origin for i, p in enumerate(placed) if p.origin == f"{i}"], min(PAIRS, len(stories)))
    originals = [(origin, shuffled[int(origin)]) for origin in chosen]
    five = look_up(stories, [(o, changed(t, 0.05, unseen, chance)) for o, t in originals])
    twenty = look_up(stories, [(o, changed(t, 0.20, unseen, chance)) for o, t in originals])
    halves = look_up(stories, [(o, joined(words_of(t)[: len(words_of(t)) // 2], t)) for o, t in originals])
    hard = look_up(stories, [(None, opened_alike(t, chance.choice(unseen))) for _, t in originals])
    right = five.right + twenty.right
    precision = right / max(1, right + five.wrong + twenty.wrong + hard.wrong)
    return five.recall, twenty.recall, halves.recall, precision, speed


def main() -> None:
    """Print the table."""
    folder = os.environ.get("TOCSIN_SENTIMENT")
    if folder is None:
        sys.exit("Say where the sentiment sets are (folders train and eval): set TOCSIN_SENTIMENT.")
    by_language: dict[str, list[str]] = {code: [] for code in LANGUAGES}
    for part in ("train", "eval"):
        for rows in read_folder(Path(folder) / part, 8_000).values():
            for row in rows:
                if row.language in by_language and not is_short(comparable(row.text)):
                    by_language[row.language].append(comparable(row.text))
    print("language  origins  5 %    20 %   halves  precision  mentions/s")
    for code, found in by_language.items():
        texts = list(dict.fromkeys(found))[:ORIGINS]
        five, twenty, halves, precision, speed = one_language(texts, 1)
        print(f"{code:8} {len(texts):8}  {five:.3f}  {twenty:.3f}  {halves:.3f}   {precision:.3f}     {speed:,.0f}")


if __name__ == "__main__":
    main()
