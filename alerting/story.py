"""Near copies: which mention tells what another has told before. Pure.

One agency report in 200 papers is one origin with 199 copies; 200 people who each write "does not work" are 200
origins. So texts of some length are compared by what they share, short ones only with what the same author wrote.

A text is compared with origins only (how: `alerting.sketch`), so copies of copies do not drift away from the first.

What is remembered follows from the set of what was placed, not from its order: the newest by time, then id. So an
index that is filled again from stored mentions answers as the one that was lost.
"""

import hashlib
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import Literal

import numpy as np

from alerting.sketch import NOTHING, READ, Sketch, Words, common, sketch_of, words_of

KEPT = 72 * 3_600.0
"""Seconds after its publication for which a text is remembered."""
MOST, MOST_IN_ALL = 10_000, 40_000
"""Texts that are remembered of a brand, and of all; the oldest goes first, and is new when it is told again."""
CROWD = 16
"""Texts that are found under one key, the newest."""
SHARED = 2
"""Keys that two texts have to share to be compared."""
COMPARED = 8
"""Texts that another is compared with, those that share most keys."""
ALIKE = 0.47
"""Share of the pieces of both texts that they have in common, from which one is a copy of the other."""
INSIDE, INSIDE_PIECES = 0.9, 40
"""Share of the shorter text's pieces that stand in the longer one, from which it is a part; and how many it needs."""

Reason = Literal["new", "short", "old", "same-address", "same-text", "same-author", "near", "part"]
"""`new`, `short` (alike or not, nobody's copy) and `old` (older than what is remembered) are origins, others copies."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is compared of a mention."""

    id: str
    brand: str
    time: float
    """Of publication."""
    text: str
    """Title and text."""
    author: str | None = None
    address: str | None = None
    """Canonical, and only where it names one post: a product's page has many reviews."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Whose copy a mention is: its own id where it is an origin."""

    origin: str
    copy: bool
    reason: Reason
    similarity: float = 0.0
    """Share of pieces in common with the origin, or with the part of it; of a new text, with the closest one."""


Key = int | bytes
"""A pair of neighbouring hashes, or a hash of an address or of a whole text."""


@dataclass(frozen=True, slots=True)
class _Told:
    rank: tuple[float, str]
    """Time and id."""
    origin: str
    keys: tuple[Key, ...]
    sketch: Sketch


_by_rank = attrgetter("rank")


@dataclass(frozen=True, slots=True)
class _Brand:
    """What is remembered of one brand."""

    told: dict[str, _Told] = field(default_factory=dict)
    found: dict[Key, list[_Told]] = field(default_factory=dict)
    """Oldest first."""
    ranks: list[tuple[float, str]] = field(default_factory=list)
    """A heap, oldest first."""

    def add(self, told: _Told) -> None:
        """Remember, in place of what had the same id."""
        before = self.told.get(told.rank[1])
        if before is None:
            heappush(self.ranks, told.rank)
        else:
            told = replace(told, rank=before.rank)
            self._lose(before)
        self.told[told.rank[1]] = told
        for key in told.keys:
            insort(self.found.setdefault(key, []), told, key=_by_rank)

    def drop_oldest(self) -> None:
        """Forget one."""
        self._lose(self.told.pop(heappop(self.ranks)[1]))

    def _lose(self, told: _Told) -> None:
        for key in told.keys:
            crowd = self.found[key]
            del crowd[bisect_left(crowd, told.rank, key=_by_rank)]
            if not crowd:
                del self.found[key]

    def candidates(self, keys: Sequence[int]) -> list[_Told]:
        """Those that share most keys."""
        found = self.found
        votes = Counter([told.rank for key in keys if key in found for told in found[key][-CROWD:]])
        ranks = sorted([(-shared, rank) for rank, shared in votes.items() if shared >= SHARED])
        return [self.told[id] for _, (_, id) in ranks[:COMPARED]]


_NO_BRAND = _Brand()


class Stories:
    """What has been told about any number of brands, each on its own.

    `place` every mention once, in the order in which they come, and store whose copy it is. After a restart `remember`
    what is stored of the last `KEPT` seconds, in any order, with the clock of the last `place`; after an edit the
    mention as it is now. Then every answer is that of an index that never stopped.
    """

    def __init__(self, most: int = MOST, most_in_all: int = MOST_IN_ALL) -> None:
        """`most`: texts that are remembered of each brand."""
        self._most = most
        self._most_in_all = most_in_all
        self._brands: dict[str, _Brand] = {}
        self._ranks: list[tuple[tuple[float, str], str]] = []
        self._count = 0
        self._since = float("-inf")

    def __len__(self) -> int:
        """Texts that are remembered."""
        return self._count

    def place(self, said: Said, clock: float) -> Placed:
        """Tell whose copy a mention is, and remember it. `clock`: event time now, s; it never goes back."""
        self._forget(clock)
        if said.time < self._since:
            return Placed(said.id, False, "old")
        words = words_of(said.text)
        exact, sketch = _exact(said, words), NOTHING
        placed = self._known(said, exact)
        if placed is None and words.short:
            placed = Placed(said.id, False, "short")
        if placed is None:
            sketch = sketch_of(words)
            placed = self._nearest(said, sketch)
        self._add(said, placed.origin, exact, NOTHING if placed.copy else sketch)
        return placed

    def remember(self, said: Said, origin: str, clock: float) -> None:
        """Take in a stored mention, and whose copy it was found to be (an origin: its own id's)."""
        self._forget(clock)
        if said.time < self._since:
            return
        words = words_of(said.text)
        sketch = NOTHING if origin != said.id or words.short else sketch_of(words)
        self._add(said, origin, _exact(said, words), sketch)

    def look(self, said: Said) -> Placed:
        """What `place` would say of a text of some length, without remembering it."""
        return self._nearest(said, sketch_of(words_of(said.text)))

    def _known(self, said: Said, exact: Mapping[Reason, bytes]) -> Placed | None:
        found = self._brands.get(said.brand, _NO_BRAND).found
        for reason, key in exact.items():
            if crowd := found.get(key):
                return _copy(said, crowd[0], reason, 1.0)
        return None

    def _nearest(self, said: Said, sketch: Sketch) -> Placed:
        candidates = self._brands.get(said.brand, _NO_BRAND).candidates(sketch.keys)
        if not candidates:
            return Placed(said.id, False, "new")
        alike, inside = common(sketch, [told.sketch for told in candidates])
        best = int(alike.argmax())
        if alike[best] >= ALIKE:
            return _copy(said, candidates[best], "near", alike[best])
        long = np.array([min(sketch.pieces, told.sketch.pieces) >= INSIDE_PIECES for told in candidates])
        part = int((inside * long).argmax())
        if long[part] and inside[part] >= INSIDE:
            return _copy(said, candidates[part], "part", inside[part])
        return Placed(said.id, False, "new", float(alike[best]))

    def _add(self, said: Said, origin: str, exact: Mapping[Reason, bytes], sketch: Sketch) -> None:
        """An origin is found by all its keys, a copy by its address alone."""
        keys = tuple(key for why, key in exact.items() if origin == said.id or why == "same-address")
        if not keys and not sketch.pieces and said.id not in self._brands.get(said.brand, _NO_BRAND).told:
            return
        brand = self._brands.setdefault(said.brand, _Brand())
        before = len(brand.told)
        told = _Told((said.time, said.id), origin, (*keys, *sketch.keys), sketch)
        brand.add(told)
        if len(brand.told) > before:
            heappush(self._ranks, (told.rank, said.brand))
        if len(brand.told) > self._most:
            brand.drop_oldest()
        self._count += len(brand.told) - before
        while self._count > self._most_in_all:
            self._drop_oldest()
        if len(self._ranks) > 2 * self._most_in_all:  # brands that are full leave ranks behind
            self._ranks = [(rank, name) for name, brand in self._brands.items() for rank in brand.ranks]
            heapify(self._ranks)

    def _forget(self, clock: float) -> None:
        self._since = max(self._since, clock - KEPT)
        while self._ranks and self._ranks[0][0][0] < self._since:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        rank, name = heappop(self._ranks)
        brand = self._brands.get(name)
        if brand is None or brand.ranks[0] != rank:
            return
        brand.drop_oldest()
        self._count -= 1
        if not brand.told:
            del self._brands[name]


def _copy(said: Said, told: _Told, reason: Reason, similarity: float) -> Placed:
    return Placed(told.origin, told.origin != said.id, reason, float(similarity))


def _exact(said: Said, words: Words) -> dict[Reason, bytes]:
    """What two tellings of one story may have in common as a whole: their address, their text."""
    keys: dict[Reason, bytes] = {}
    if said.address:
        keys["same-address"] = _digest(said.address)
    if not words.short:
        keys["same-text"] = _digest(words.text)
    elif said.author and (whole := words.text or said.text[:READ].strip()):
        keys["same-author"] = _digest(said.author, whole)
    return keys


def _digest(*parts: str) -> bytes:
    """As the texts are stored: without NUL and halves of surrogate pairs."""
    whole = "\n".join(parts).replace("\x00", " ")
    return hashlib.blake2b(whole.encode(errors="replace"), digest_size=12).digest()
