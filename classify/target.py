"""Where a text names its target: any case, any form of the word."""

import re
from collections.abc import Sequence
from functools import lru_cache

SPACELESS = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Thai, Japanese and Chinese: no borders between words."""
ENDING = r"(?:\w{0,5}(?:['’`-]\w{1,8})?)"
"""What may stand behind a name: the endings of inflecting languages, Turkish suffixes behind an apostrophe."""
MOST_PLACES = 50


def find(text: str, names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """All places of any of the names, [start, end) in characters, in order, not overlapping.

    First the name as it is, with any ending; only where it is found nowhere, with its own ending cut off
    (`Kometa` is found in `Kometą`, `Комета` in `Кометой`).
    """
    known = tuple(name.strip() for name in names if name.strip())
    return _places(text, _pattern(known, cut=False)) or _places(text, _pattern(known, cut=True))


def _places(text: str, pattern: re.Pattern[str] | None) -> tuple[tuple[int, int], ...]:
    if pattern is None:
        return ()
    out: list[tuple[int, int]] = []
    for match in pattern.finditer(text):
        out.append(match.span())
        if len(out) == MOST_PLACES:
            break
    return tuple(out)


@lru_cache(maxsize=512)
def _pattern(names: tuple[str, ...], *, cut: bool) -> re.Pattern[str] | None:
    """One expression for all names, the longest first; None when there is nothing to look for."""
    parts = [p for name in sorted(names, key=len, reverse=True) if (p := _one(name, cut=cut))]
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None


def _one(name: str, *, cut: bool) -> str | None:
    if SPACELESS.search(name):
        return None if cut else re.escape(name)
    words = name.split()
    if not cut:
        return r"(?<!\w)" + r"\s+".join(re.escape(word) + ENDING for word in words)
    if all(_stem(word) == word for word in words):
        return None
    return r"(?<!\w)" + r"\s+".join(re.escape(_stem(word)) + ENDING for word in words)


def _stem(word: str) -> str:
    """A word without its last letter; short words stay whole, they would be found everywhere."""
    return word[:-1] if len(word) >= 5 and word[-1].isalpha() else word
