"""Near copies: which mention tells what another has told before. Pure; one index a brand.

One agency report in 200 papers is one origin with 199 copies; 200 people who each write "does not work" are 200
origins. So texts of some length are compared by what they share, short ones only with what the same author wrote.

Texts are compared by the sets of their pieces of a few letters. Of each set the smallest hashes are kept (a bottom-k
sketch, Cohen and Kaplan 2007), from which the share that two sets have in common is estimated; neighbouring hashes
lead to the few texts that are worth comparing. A text is compared with origins only, so copies of copies do not drift.
"""

import hashlib
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

KEPT = 72 * 3_600.0
"""Seconds for which an origin is remembered after it was seen."""
MOST = 10_000
"""Origins of a brand that are remembered; the oldest goes first."""
READ = 4_000
"""Characters of a text that are compared."""
SHORT_WORDS, SHORT_LETTERS = 12, 30
"""A text with fewer words (in scripts without spaces: letters) says nothing that others would not say, too."""
PIECE, PIECE_UNSPACED = 5, 3
"""Letters of a piece."""
SKETCH = 128
"""Hashes that are kept of a text."""
KEYS = 16
"""Pairs of neighbouring hashes under which an origin is found."""
CROWD = 16
"""Origins that are remembered under one key, the newest."""
COMPARED = 8
"""Origins that a text is compared with, those that share most keys."""
ALIKE = 0.4
"""Share of the pieces of both texts that they have in common, from which one is a copy of the other."""
INSIDE, INSIDE_PIECES = 0.8, 60
"""Share of the shorter text's pieces that stand in the longer one, from which it is a part; and how many it needs."""

Reason = Literal["new", "short", "same-author", "near", "part"]

_NOISE = re.compile(r"https?://\S+|www\.\S+|[@]\w+|\brt\b|[^\w\s]+|_+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff]")
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93,
                     0xA0761D6478BD642F], np.uint64)  # fmt: skip
"""Odd numbers without a pattern (of Knuth's golden ratio, xxHash and wyhash)."""
_HALF = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Said:
    """What is compared of a mention."""

    id: str
    text: str
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """Whose copy a mention is: its own id where it is an origin."""

    origin: str
    reason: Reason
    similarity: float = 0.0
    """Share of pieces in common with the origin, or with the part of it."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of a text's pieces."""

    hashes: frozenset[int]
    """The smallest ones."""
    edge: int
    """The largest of them, or more than any where all are kept."""
    pieces: int
    """How many different pieces the text has."""
    keys: tuple[int, ...]
    """The first neighbours, each pair as one number."""


@dataclass(frozen=True, slots=True)
class _Origin:
    number: int
    at: float
    id: str
    sketch: Sketch


class Stories:
    """The origins about one brand that are remembered. The same calls in the same order give the same answers.

    After a restart, `place` what was stored in the last `KEPT` seconds again, in the order in which it came: what is
    older has no part in any answer.
    """

    def __init__(self, most: int = MOST) -> None:
        """`most`: origins, and short texts with their authors, that are remembered."""
        self._most = most
        self._origins: deque[_Origin] = deque()
        self._next = 0
        self._found: dict[int, list[_Origin]] = {}
        self._written: dict[bytes, tuple[float, str]] = {}

    def __len__(self) -> int:
        """Origins of some length that are remembered."""
        return len(self._origins)

    def place(self, said: Said, clock: float) -> Placed:
        """Tell whose copy a mention is, and remember it where it is an origin. `clock`: when it came, never back."""
        self._forget(clock)
        text = comparable(said.text)
        if is_short(text):
            return self._short(said, text, clock)
        sketch = sketch_of(text)
        placed = self._nearest(said, sketch)
        if placed.reason == "new":
            self._remember(_Origin(self._next, clock, said.id, sketch))
        return placed

    def look(self, said: Said) -> Placed:
        """What `place` would say of a text of some length, without remembering it."""
        return self._nearest(said, sketch_of(comparable(said.text)))

    def _nearest(self, said: Said, sketch: Sketch) -> Placed:
        placed = [_compare(sketch, origin) for origin in self._candidates(sketch.keys)]
        best = max(placed, default=None, key=_strength)
        if best is None or best.reason == "new":
            return Placed(said.id, "new", best.similarity if best else 0.0)
        return best

    def _short(self, said: Said, text: str, clock: float) -> Placed:
        """A copy only where the same author has written the same."""
        if said.author is None:
            return Placed(said.id, "short")
        key = hashlib.blake2b(f"{said.author}\x00{text}".encode(errors="replace"), digest_size=12).digest()
        _, origin = self._written.pop(key, (clock, said.id))
        self._written[key] = (clock, origin)
        return Placed(origin, "short" if origin == said.id else "same-author", float(origin != said.id))

    def _candidates(self, keys: tuple[int, ...]) -> list[_Origin]:
        votes: Counter[int] = Counter()
        origins = {}
        for key in keys:
            for origin in self._found.get(key, ()):
                votes[origin.number] += 1
                origins[origin.number] = origin
        return [origins[number] for number, _ in sorted(votes.items(), key=lambda v: (-v[1], v[0]))[:COMPARED]]

    def _remember(self, origin: _Origin) -> None:
        self._next += 1
        self._origins.append(origin)
        for key in origin.sketch.keys:
            self._found[key] = [*self._found.get(key, ()), origin][-CROWD:]
        while len(self._origins) > self._most:
            self._drop()

    def _forget(self, clock: float) -> None:
        while self._origins and self._origins[0].at < clock - KEPT:
            self._drop()
        while self._written:
            key, (at, _) = next(iter(self._written.items()))
            if at >= clock - KEPT and len(self._written) <= self._most:
                break
            del self._written[key]

    def _drop(self) -> None:
        origin = self._origins.popleft()
        for key in origin.sketch.keys:
            left = [o for o in self._found.get(key, ()) if o.number != origin.number]
            if left:
                self._found[key] = left
            else:
                self._found.pop(key, None)


def comparable(text: str) -> str:
    """The words of a text: folded, without addresses, user names and punctuation."""
    return " ".join(_NOISE.sub(" ", unicodedata.normalize("NFKC", text[:READ]).casefold()).split())


def is_short(text: str) -> bool:
    """Whether a comparable text is too short to be told apart from what others write."""
    if is_unspaced(text):
        return len(text.replace(" ", "")) < SHORT_LETTERS
    return text.count(" ") + 1 < SHORT_WORDS


def is_unspaced(text: str) -> bool:
    """Whether most of it is in a script that puts no spaces between words."""
    return len(_UNSPACED.findall(text)) * 2 > len(text)


def sketch_of(text: str) -> Sketch:
    """The pieces of a comparable text, as far as they are kept."""
    size = PIECE_UNSPACED if is_unspaced(text) else PIECE
    letters = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    count = max(1, len(letters) - size + 1)
    hashes = np.zeros(count, np.uint64)
    for place in range(min(size, len(letters))):
        hashes += letters[place : place + count] * _FACTORS[place]
    hashes ^= hashes >> _HALF
    hashes *= _FACTORS[-1]
    hashes ^= hashes >> _HALF
    found = sorted(set(hashes.tolist()))
    kept = found[:SKETCH]
    keys = tuple(a * 31 ^ b for a, b in pairwise(kept[: KEYS + 1])) or tuple(kept)
    return Sketch(frozenset(kept), kept[-1] if len(found) > SKETCH else 1 << 64, len(found), keys)


def common_share(a: Sketch, b: Sketch) -> float:
    """Estimate of what two texts have in common of the pieces of both, from 0 to 1; exact where all pieces are kept."""
    edge = min(a.edge, b.edge)
    both = a.hashes & b.hashes
    if edge < 1 << 64:
        common = sum(h <= edge for h in both)
        whole = sum(h <= edge for h in a.hashes) + sum(h <= edge for h in b.hashes) - common
    else:
        common, whole = len(both), len(a.hashes) + len(b.hashes) - len(both)
    return common / max(1, whole)


def _compare(sketch: Sketch, origin: _Origin) -> Placed:
    alike = common_share(sketch, origin.sketch)
    if alike >= ALIKE:
        return Placed(origin.id, "near", alike)
    mine, theirs = sketch.pieces, origin.sketch.pieces
    fewer = min(mine, theirs)
    inside = min(1.0, alike * (mine + theirs) / (1 + alike) / fewer)
    if fewer >= INSIDE_PIECES and inside >= INSIDE:
        return Placed(origin.id, "part", inside)
    return Placed(origin.id, "new", alike)


def _strength(placed: Placed) -> tuple[bool, float]:
    return placed.reason != "new", placed.similarity


def replay(told: Iterable[tuple[float, Said]]) -> Stories:
    """An index from what is stored: (when it came, what was said), in the order in which it came."""
    stories = Stories()
    for clock, said in told:
        stories.place(said, clock)
    return stories
