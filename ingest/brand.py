"""Which brands a text names, and where."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from ahocorasick_rs import AhoCorasick, MatchKind
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ingest.folding import fold, fold_name

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Span = tuple[int, int]
"""[start, end) in characters."""


class Brand(BaseModel):
    """A brand to watch: what it is called, and what only looks like it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Phrase = Field(description="Its name, as pages show it; also the first of its aliases.")
    aliases: tuple[Phrase, ...] = Field(
        default=(),
        description="Other spellings, in any case. `Komet*` stands for every word that begins with `Komet`.",
    )
    exclude: tuple[Phrase, ...] = Field(
        default=(), description="Phrases that are not the brand: a name in or beside one of them does not count."
    )
    context: tuple[Phrase, ...] = Field(
        default=(), description="For a name that is a common word: one of these has to stand in the text, too."
    )


@dataclass(frozen=True, slots=True)
class _Pattern:
    brand: int
    role: str
    """`name`, `exclude` or `context`."""
    prefix: bool
    """Whether it stands for every word that begins so."""


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    pattern: _Pattern


class Matcher:
    """Finds all brands in one pass over a text (Aho-Corasick over the folded text)."""

    def __init__(self, brands: Sequence[Brand]) -> None:
        self._brands = tuple(brands)
        patterns = dict.fromkeys(_patterns(self._brands))
        self._patterns = [pattern for _, pattern in patterns]
        self._automaton = AhoCorasick([text for text, _ in patterns], matchkind=MatchKind.Standard)

    def find(self, text: str) -> dict[str, tuple[Span, ...]]:
        """Spans in `text` for each brand that it names, in order. Where names overlap, the longest wins."""
        folded, places = fold(text)
        matches = list(self._matches(folded))
        names = _longest([match for match in matches if match.pattern.role == "name"], len(folded))
        found: dict[str, tuple[Span, ...]] = {}
        for number, brand in enumerate(self._brands):
            spans = [match for match in names if match.pattern.brand == number]
            if spans and _in_context(brand, number, matches):
                excluded = [m for m in matches if m.pattern.brand == number and m.pattern.role == "exclude"]
                marks = _around(folded, excluded)
                kept = [match for match in spans if 1 not in marks[max(0, match.start - 1) : match.end + 1]]
                if kept:
                    found[brand.name] = tuple(_original(text, places, match) for match in kept)
        return found

    def _matches(self, folded: str) -> Iterator[_Match]:
        for index, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            pattern = self._patterns[index]
            if not _begins_word(folded, start):
                continue
            if pattern.prefix:
                yield _Match(start, _word_end(folded, end), pattern)
            elif _ends_word(folded, end):
                yield _Match(start, end, pattern)


def _patterns(brands: Sequence[Brand]) -> Iterator[tuple[str, _Pattern]]:
    for number, brand in enumerate(brands):
        roles = (("name", (brand.name, *brand.aliases)), ("exclude", brand.exclude), ("context", brand.context))
        for role, phrases in roles:
            for phrase in phrases:
                prefix = phrase.endswith("*") and len(phrase) > 1
                text = fold_name(phrase[:-1] if prefix else phrase)
                if text:
                    yield text, _Pattern(number, role, prefix)


def _longest(matches: Sequence[_Match], length: int) -> list[_Match]:
    """Of overlapping names the longest, then the first; two brands with the very same name both keep it."""
    kept: dict[tuple[int, int, int], _Match] = {}
    spans: set[Span] = set()
    taken = bytearray(length)
    for match in sorted(matches, key=lambda m: (m.start - m.end, m.start)):
        span = (match.start, match.end)
        if span in spans or 1 not in taken[match.start : match.end]:
            kept.setdefault((*span, match.pattern.brand), match)
            spans.add(span)
            taken[match.start : match.end] = b"\x01" * (match.end - match.start)
    return sorted(kept.values(), key=lambda m: m.start)


def _in_context(brand: Brand, number: int, matches: Sequence[_Match]) -> bool:
    return not brand.context or any(m.pattern.brand == number and m.pattern.role == "context" for m in matches)


def _around(folded: str, phrases: Sequence[_Match]) -> bytearray:
    """Marks the characters of the phrases and of the spaces and hyphens around them."""
    marks = bytearray(len(folded))
    for phrase in phrases:
        start, end = phrase.start, phrase.end
        while start and folded[start - 1] in " -":
            start -= 1
        while end < len(folded) and folded[end] in " -":
            end += 1
        marks[start:end] = b"\x01" * (end - start)
    return marks


def _original(text: str, places: Sequence[int], match: _Match) -> Span:
    start, last = places[match.start], places[match.end - 1]
    following = match.end
    while places[following] == last:  # one letter of the text can be several folded ones
        following += 1
    end = places[following]
    while end > last + 1 and _separates(text[end - 1]):
        end -= 1
    return start, end


def _separates(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"


def _begins_word(text: str, start: int) -> bool:
    if start == 0 or not _joined(text[start - 1], text[start]):
        return True
    return _script(text[start]) in _CLITICS and _after_clitic(text, start)


def _ends_word(text: str, end: int) -> bool:
    if end >= len(text):
        return True
    return _script(text[end - 1]) == "hangul" or not _joined(text[end - 1], text[end])


def _word_end(text: str, end: int) -> int:
    while end < len(text) and _joined(text[end - 1], text[end]):
        end += 1
    return end


def _joined(before: str, after: str) -> bool:
    """Whether two neighbours belong to one word, in a script that has spaces between words."""
    if not (_in_word(before) and _in_word(after)):
        return False
    scripts = {_script(before), _script(after)}
    return "unspaced" not in scripts and not ("hangul" in scripts and len(scripts) > 1)


def _in_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] == "M"


_RANGES = (
    ("hebrew", 0x0590, 0x05FF),
    ("arabic", 0x0600, 0x077F),
    ("unspaced", 0x0E00, 0x0EFF),  # Thai, Lao
    ("unspaced", 0x1000, 0x109F),  # Burmese
    ("hangul", 0x1100, 0x11FF),
    ("unspaced", 0x1780, 0x17FF),  # Khmer
    ("unspaced", 0x2E80, 0x312F),
    ("hangul", 0x3130, 0x318F),
    ("unspaced", 0x3190, 0xA4CF),
    ("hangul", 0xAC00, 0xD7FF),
    ("unspaced", 0xF900, 0xFAFF),
    ("unspaced", 0x20000, 0x3FFFF),
)
"""Scripts whose words have no borders of their own, or borders of a special kind (Unicode blocks)."""

_CLITICS = {
    "hebrew": frozenset("והבלמשכ") | {"וה", "וב", "ול", "ומ", "וש", "שה", "מה", "כש", "שב"},
    "arabic": frozenset("وفبكل") | {"ال", "وال", "بال", "فال", "كال", "لل", "ولل", "وب", "ول"},
}
"""Words that are written together with the next one: `and`, `in`, `the`..."""


def _script(character: str) -> str:
    code = ord(character)
    if code < 0x0590:
        return "spaced"
    return next((name for name, first, last in _RANGES if first <= code <= last), "spaced")


def _after_clitic(text: str, start: int) -> bool:
    first = start
    while first and start - first < 4 and _joined(text[first - 1], text[first]):
        first -= 1
    return text[first:start] in _CLITICS[_script(text[start])]
