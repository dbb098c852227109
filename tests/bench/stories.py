"""Near copies: how many are found, how many are wrong, how fast.

    TOCSIN_SENTIMENT=/folder/with/train/and/eval python -m tests.bench.stories [train]

Texts of the sets are changed by a seed; each has to be found among thousands of others of its language, all of one
brand. Settings are chosen on the folder `train`; the table is that of `eval`.

5 %, 20 %: of the words, at different places, each is left out, exchanged, or has a word put before it (in turn by
chance; from other texts). Half: the first half of the words alone. Added: half as many words of another text follow.
Hard negatives are as long as a text and have its first 35 % or 50 % of words; they go on as texts that are not in the
index and have no five words in a row (ten letters) in common with it, for else they are copies of something in it. In scripts without spaces two letters count as a word. A variant that has become too short to be compared is
left out. Precision: of the changed texts and the hard negatives (two for each text), copies of the right text among
all that were called copies.
"""

import os
import random
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerting import sketch
from alerting.story import Said, Stories
from classify.training.measure import read_folder

LANGUAGES = ("en", "pl", "ru", "tr", "es", "fr", "ar", "hi", "ko", "vi", "zh", "ja", "th")
ORIGINS, PAIRS, FEWEST = 4_000, 400, 300
SHARES = (0.05, 0.20)
OPENINGS = (0.35, 0.50)
RUN, RUN_UNSPACED = 5, 10


def words_of(text: str) -> list[str]:
    """Words; of scripts without spaces pieces of two letters stand for them."""
    return re.findall("..?", text, re.DOTALL) if sketch.words_of(text).unspaced else text.split()


def joined(words: Sequence[str], like: str) -> str:
    """The way back."""
    return ("" if sketch.words_of(like).unspaced else " ").join(words)


def changed(text: str, share: float, others: Sequence[str], chance: random.Random) -> str:
    """Some words left out, exchanged or put in, taken from other texts."""
    words = words_of(text)
    for place in sorted(chance.sample(range(len(words)), max(1, round(share * len(words)))), reverse=True):
        other = chance.choice(words_of(chance.choice(others)))
        words[place : place + 1] = chance.choice(([], [other], [other, words[place]]))
    return joined(words, text)


def opening(text: str, share: float) -> list[str]:
    """The first words."""
    words = words_of(text)
    return words[: round(share * len(words))]


def from_others(count: int, others: Sequence[str], chance: random.Random) -> list[str]:
    """The last words of another text; where it has not as many, of several."""
    words: list[str] = []
    while len(words) < count:
        words = words_of(chance.choice(others)) + words
    return words[len(words) - count :]


def begun_alike(text: str, share: float, others: Sequence[str], chance: random.Random) -> str:
    """As many words as the text has, of which it lends the first."""
    first = opening(text, share)
    return joined([*first, *from_others(len(words_of(text)) - len(first), others, chance)], text)


def added(text: str, others: Sequence[str], chance: random.Random) -> str:
    """The text, and half as many words of others."""
    return joined([*words_of(text), *from_others(len(words_of(text)) // 2, others, chance)], text)


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

    @property
    def false(self) -> float:
        """Share that was found to be a copy of another one."""
        return self.wrong / max(1, self.tried)


def look_up(stories: Stories, variants: Iterable[tuple[str | None, str]]) -> Found:
    """Look for each (id of the origin or None, text) without remembering it."""
    tried = right = wrong = 0
    for origin, variant in variants:
        if sketch.words_of(variant).short:
            continue
        placed = stories.look(Said("trial", "brand", 0.0, variant))
        tried += 1
        right += placed.copy and placed.origin == origin
        wrong += placed.copy and placed.origin != origin
    return Found(tried, right, wrong)


@dataclass(frozen=True, slots=True)
class Line:
    """One language."""

    texts: int
    remembered: int
    changed: tuple[Found, ...]
    half: Found
    added: Found
    hard: tuple[Found, ...]
    speed: float
    """Mentions a second, all of them new texts, the index growing."""

    @property
    def precision(self) -> float:
        """Over the changed texts and the hard negatives."""
        right = sum(found.right for found in self.changed)
        return right / max(1, right + sum(found.wrong for found in (*self.changed, *self.hard)))


def runs(text: str) -> set[str]:
    """Every few words in a row, in scripts without spaces letters."""
    words = sketch.words_of(text)
    parts, run = (list(words.text), RUN_UNSPACED) if words.unspaced else (words.text.split(), RUN)
    return {" ".join(parts[i : i + run]) for i in range(len(parts) - run + 1)}


def strangers(texts: Sequence[str], remembered: Iterable[str]) -> list[str]:
    """Texts that are no copies of what is remembered, told without the sketches: they have no run in common with it."""
    known = {run for text in remembered for run in runs(text)}
    return [text for text in texts if known.isdisjoint(runs(text))]


def one_language(texts: Sequence[str], seed: int) -> Line:
    """Fill an index with four fifths of the texts; the others lend their words."""
    chance = random.Random(seed)
    shuffled = list(texts)
    chance.shuffle(shuffled)
    unseen, shuffled = shuffled[: len(shuffled) // 5], shuffled[len(shuffled) // 5 :]
    unseen = strangers(unseen, shuffled)
    stories = Stories()
    began = time.process_time()
    placed = [stories.place(Said(f"{i}", "brand", 0.0, text), 0.0) for i, text in enumerate(shuffled)]
    speed = len(shuffled) / (time.process_time() - began)
    origins = [p.origin for p in placed if not p.copy]
    chosen = [(origin, shuffled[int(origin)]) for origin in chance.sample(origins, min(PAIRS, len(origins)))]
    return Line(
        len(texts),
        len(stories),
        tuple(look_up(stories, [(o, changed(t, share, unseen, chance)) for o, t in chosen]) for share in SHARES),
        look_up(stories, [(o, joined(opening(t, 0.5), t)) for o, t in chosen]),
        look_up(stories, [(o, added(t, unseen, chance)) for o, t in chosen]),
        tuple(look_up(stories, [(None, begun_alike(t, o, unseen, chance)) for _, t in chosen]) for o in OPENINGS),
        speed,
    )


def read(folder: Path) -> dict[str, list[str]]:
    """Different texts by language, as they are, of those that are long enough."""
    by_language: dict[str, dict[str, None]] = {code: {} for code in LANGUAGES}
    for rows in read_folder(folder, 8_000).values():
        for row in rows:
            if row.language in by_language and not sketch.words_of(row.text).short:
                by_language[row.language][row.text] = None
    return {code: list(texts)[:ORIGINS] for code, texts in by_language.items() if len(texts) >= FEWEST}


def main() -> None:
    """Print the table."""
    folder = os.environ.get("TOCSIN_SENTIMENT")
    if folder is None:
        sys.exit("Say where the sentiment sets are (folders train and eval): set TOCSIN_SENTIMENT.")
    part = sys.argv[1] if len(sys.argv) > 1 else "eval"
    print(
        "| language | texts | remembered | 5 % | 20 % | half | added | false at 35 %, 50 % | precision | mentions/s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for code, texts in read(Path(folder) / part).items():
        line = one_language(texts, 1)
        figures = " | ".join(f"{found.recall:.3f}" for found in (*line.changed, line.half, line.added))
        false = ", ".join(f"{found.false:.3f}" for found in line.hard)
        print(
            f"| {code} | {line.texts:,} | {line.remembered:,} | {figures} | {false} | {line.precision:.3f} "
            f"| {line.speed:,.0f} |"
        )


if __name__ == "__main__":
    main()
