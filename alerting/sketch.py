"""What is compared of a text: its words, folded, and a sketch of their pieces (pure).

Texts are compared by the sets of their pieces of a few letters. Of each set the smallest hashes are kept (a bottom-k
sketch, Cohen and Kaplan 2007), from which the share that two sets have in common is estimated. All hashes are fixed:
the same text has the same sketch everywhere.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from re import compile as pattern

import numpy as np
from numpy.typing import NDArray

READ = 4_000
"""Characters of a text that are compared."""
SHORT_WORDS, SHORT_LETTERS = 12, 30
"""A text with fewer words (in scripts without spaces: letters) says nothing that others would not say, too."""
PIECE, PIECE_UNSPACED = 5, 3
"""Letters of a piece."""
SKETCH = 128
"""Hashes that are kept of a text."""
KEYS = 24
"""Pairs of neighbouring hashes under which a text is found."""

_ADDRESS = pattern(r"https?://\S+|www\.\S+")
_USER = pattern(r"(?:\brt )?@\w+")
_UNSPACED = pattern("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff]+")
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93,
                     0xA0761D6478BD642F, 0xE7037ED1A0B428DB], np.uint64)  # fmt: skip
"""Odd numbers without a pattern (of Knuth's golden ratio, xxHash and wyhash): one for each letter of a piece."""
_MIX, _HALF = np.uint64(0x8EBC6AF09C88C6E3), np.uint64(32)
_LAST = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: folded, without addresses, user names, emoji and punctuation."""

    text: str
    unspaced: bool
    """Whether most of it is in a script that puts no spaces between words."""

    @property
    def short(self) -> bool:
        """Whether it is too short to be told apart from what others write."""
        if self.unspaced:
            return len(self.text.replace(" ", "")) < SHORT_LETTERS
        return self.text.count(" ") + 1 < SHORT_WORDS


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of a text's pieces."""

    hashes: NDArray[np.uint32]
    """The smallest ones, ascending."""
    edge: int
    """The largest of them, or the largest number where all are kept."""
    pieces: int
    """How many different pieces the text has."""
    keys: tuple[int, ...]
    """The first neighbours, each pair as one number: texts that have much in common share some of them."""


NOTHING = Sketch(np.empty(0, np.uint32), 0, 0, ())
"""Of a text that is not compared."""


class _Letters(dict[int, str | None]):
    """What becomes of a character, by its general category (Unicode): letters, their marks and numbers stay."""

    def __missing__(self, code: int) -> str | None:
        category = unicodedata.category(chr(code))
        joins = category in ("Cf", "Me") or 0xFE00 <= code <= 0xFE0F
        kept = None if joins else chr(code) if category[0] in "LMN" else " "
        self[code] = kept
        return kept


_LETTERS = _Letters()
_FIRST = np.array([True])


def words_of(text: str) -> Words:
    """What is compared of a text, at most `READ` characters."""
    folded = unicodedata.normalize("NFKC", text[:READ].replace("\x00", " ")).casefold()[:READ]
    if "://" in folded or "www." in folded:
        folded = _ADDRESS.sub(" ", folded)
    if "@" in folded:
        folded = _USER.sub(" ", folded)
    words = " ".join(folded.translate(_LETTERS).split())
    return Words(words, not words.isascii() and len(_UNSPACED.sub("", words)) * 2 < len(words))


def sketch_of(words: Words) -> Sketch:
    """The pieces of a text, as far as they are kept."""
    size = PIECE_UNSPACED if words.unspaced else PIECE
    letters = np.frombuffer(words.text.encode("utf-32-le"), np.uint32).astype(np.uint64)
    count = max(1, len(letters) - size + 1)
    hashes = np.zeros(count, np.uint64)
    for place in range(min(size, len(letters))):
        hashes += letters[place : place + count] * _FACTORS[place]
    hashes ^= hashes >> _HALF
    hashes *= _MIX
    hashes >>= _HALF
    hashes.sort()
    found = hashes[np.concatenate((_FIRST, hashes[1:] != hashes[:-1]))].astype(np.uint32)
    kept = found[:SKETCH].copy()
    first = kept[: KEYS + 1].tolist()
    keys = tuple([a << 32 | b for a, b in pairwise(first)]) or tuple(first)
    return Sketch(kept, int(kept[-1]) if len(found) > SKETCH else _LAST, len(found), keys)


def common(mine: Sketch, others: Sequence[Sketch]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimates of what a text has in common with each of some others, 0 to 1; exact where all pieces are kept.

    Returns ([others] share of the pieces of both, [others] share of the pieces of the shorter one).
    """
    theirs = np.concatenate([other.hashes for other in others])
    starts = np.cumsum([0, *(len(other.hashes) for other in others[:-1])])
    near = np.minimum(mine.hashes.searchsorted(theirs), len(mine.hashes) - 1)
    both = np.add.reduceat(mine.hashes[near] == theirs, starts, dtype=np.int64)
    edges = np.array([min(mine.edge, other.edge) for other in others], np.uint32)
    whole = mine.hashes.searchsorted(edges, "right") + np.add.reduceat(theirs <= mine.edge, starts, dtype=np.int64)
    alike = both / (whole - both)
    pieces = np.array([other.pieces for other in others])
    inside = alike * (pieces + mine.pieces) / (1 + alike) / np.minimum(pieces, mine.pieces)
    return alike, np.minimum(1.0, inside)
