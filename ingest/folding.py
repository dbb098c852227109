"""Fold a text for comparing names, and find the way back from folded places to original ones.

Case, width (full-width Latin), composed or decomposed letters, typographic apostrophes, kinds and runs of white space,
invisible characters, the Turkish dotted and dotless i and the Russian yo do not tell names apart.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u02b9\u0060\u00b4\uff07"), "'")
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2212\ufe63\uff0d"), "-")
_DOT_ABOVE = 0x307
"""Left over where a program lowered the Turkish dotted capital."""
_INVISIBLE = dict.fromkeys(
    [0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF, *range(0xFE00, 0xFE10), _DOT_ABOVE]
)
_SAME_LETTER = {ord("\u0130"): "i", ord("\u0131"): "i", ord("\u0451"): "\u0435", ord("\u0401"): "\u0435"}
_TABLE = _APOSTROPHES | _HYPHENS | _INVISIBLE | _SAME_LETTER
_SPACES = re.compile(r"\s\s")


def fold(text: str) -> tuple[str, Sequence[int]]:
    """Folded text, and for each of its characters the place in `text` where it comes from, then `len(text)`."""
    if text.isascii() and not _SPACES.search(text):
        return _fold_ascii(text), range(len(text) + 1)
    simple = [fold_cluster(character) for character in text]
    if all(len(piece) == 1 for piece in simple) and not _SPACES.search(text) and unicodedata.is_normalized("NFC", text):
        return "".join(simple), range(len(text) + 1)
    folded: list[str] = []
    places: list[int] = []
    for start, cluster in _clusters(text):
        piece = fold_cluster(cluster)
        if piece == " " and folded and folded[-1] == " ":
            continue
        folded.extend(piece)
        places.extend([start] * len(piece))
    places.append(len(text))
    return "".join(folded), places


def fold_name(name: str) -> str:
    """A name as it stands in folded texts."""
    return fold(name)[0].strip()


def _fold_ascii(text: str) -> str:
    return text.lower().translate(_ASCII)


_ASCII = {ord("`"): "'", **dict.fromkeys(map(ord, "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f"), " ")}


@lru_cache(maxsize=20_000)
def fold_cluster(cluster: str) -> str:
    """One letter with its marks, folded: none, one or several characters."""
    folded = unicodedata.normalize("NFKC", cluster).translate(_TABLE).casefold().translate(_TABLE)
    folded = unicodedata.normalize("NFKC", folded)
    return " " if folded and folded.isspace() else folded


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Letters with the marks that follow them; jamo of one run together, so that decomposed Hangul composes."""
    if unicodedata.is_normalized("NFC", text):
        yield from enumerate(text)
        return
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or not _continues(text[place - 1], text[place]):
            yield start, text[start:place]
            start = place


def _continues(before: str, character: str) -> bool:
    if unicodedata.combining(character):
        return True
    return "\u1161" <= character <= "\u11ff" and "\u1100" <= before <= "\u11ff"
