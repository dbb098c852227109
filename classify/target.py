"""Where a text names its target: any case, any form of the word.

Inflection is followed by rules that hold for many languages at once: something is added behind the name, its last
vowel changes (`Kometa`, `Kometą`; `Комета`, `Кометой`), its last consonant softens (`Komecie`), an `e` flees (`Poranek`,
`Poranku`), or a word of one letter is written together with it (Hebrew, Arabic).
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

from ingest.folding import fold, fold_name

MOST_PLACES = 50
LONGEST_NAME = 200
HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7ff"
KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff"
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Burmese, Khmer, kana and Chinese: no borders between words."""
LETTER = rf"(?:[^\W_{UNSPACED}{HANGUL}]|[\u0900-\u0903\u093a-\u094f])"
"""A letter or digit of a script that has borders between words; vowel signs of Hindi are no letters to `re`."""
VOWELS = "aeiouyąęáéíóúůýěäöüâîăãêôõåæøœаеиоуыэюяіїєйьαεηιουωάέήίόύώς"
"""Letters at the end of a name that give way to an ending."""
GREEK_MASCULINE = re.compile(".{2,}[αάηήοό]σ")
"""Greek names that end so (the final sigma folded) lose it with the vowel."""
SOFT = {
    "t": "cie", "d": "dzie", "k": "ce|ke", "g": "dze|ze", "h": "ze", "r": "rze|ře", "ł": "le",
    "к": "ці", "г": "зі", "х": "сі",
}  # fmt: skip
"""Consonants before a last vowel, and what both become in the locative (Polish, Czech, Slovak, Ukrainian)."""
FLEETING = re.compile(r"(.{2,})[eеo][kcкц]|(.{2,})о[кц]")
"""Names that lose the vowel before their last consonant when something follows."""
ATTACHED = (
    (re.compile("[\u0590-\u05ff]"), "[והבלמשכ]{0,3}"),
    (re.compile("[\u0600-\u06ff]"), "[وفبكلس]{0,2}(?:ال)?"),
)
"""Small words that are written together with the next one: `and`, `in`, `the`..."""


def find(text: str, names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """All places of any of the names, [start, end) in characters, in order, not overlapping; at most `MOST_PLACES`."""
    pattern = _pattern(tuple(dict.fromkeys(fold_name(name[:LONGEST_NAME]) for name in names)))
    if pattern is None:
        return ()
    folded, places = fold(text)
    found = (match.span(match.lastindex or 0) for match in pattern.finditer(folded))
    return tuple(_original(places, *span) for span in islice(found, MOST_PLACES))


def _original(places: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """From folded places to those of the text; one letter of the text can be several folded ones."""
    last = places[end - 1]
    while places[end] == last:
        end += 1
    return places[start], places[end]


@lru_cache(maxsize=512)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all names, the longest first, each a group; None when there is nothing to look for."""
    parts = [_name(name) for name in sorted(names, key=len, reverse=True) if name]
    return re.compile("|".join(parts)) if parts else None


def _name(name: str) -> str:
    words = [word for word in re.split("[ -]", name) if word]
    if not words:
        return f"({re.escape(name)})"
    written = "[ -]".join(_word(word) for word in words)
    if len(words) > 1:
        written += "|" + _word("".join(words))
    suffix = f"(?:['-]{LETTER}{{1,8}}+)?"
    attached = next((prefix for script, prefix in ATTACHED if script.match(name)), "")
    return f"{_border('<', words[0][0])}{attached}((?:{written}){suffix})"


def _word(word: str) -> str:
    """All forms of one word, to the border behind it. Atomic: a hostile text cannot make it try again and again."""
    last = word[-1]
    border = _border("", last)
    if not re.fullmatch(LETTER, last):
        return f"{re.escape(word)}{border}"
    most = (0, 0, 1, 2, 3, 5)[len(word)] if len(word) < 6 else 7
    forms = [f"{re.escape(word)}{LETTER}{{0,{most}}}+", *_changed(word)]
    return f"(?>(?:{'|'.join(forms)}){border})"


def _changed(word: str) -> Iterator[str]:
    """Forms in which the name itself changes."""
    changes = word[-1] in VOWELS
    root = word[:-1] if changes else word
    if changes and len(word) >= 4:
        yield f"{re.escape(root)}[{VOWELS}]{LETTER}{{0,{3 if len(word) > 4 else 0}}}+"
    if len(word) >= 5 and root[-1] in SOFT:
        yield f"{re.escape(root[:-1])}(?:{SOFT[root[-1]]})"
    if len(word) >= 5 and changes and root[-1] in "yj":
        yield f"{re.escape(root[:-1])}i"
    if GREEK_MASCULINE.fullmatch(word):
        yield f"{re.escape(word[:-2])}[{VOWELS}]{{1,2}}+"
    if FLEETING.fullmatch(word):
        yield f"{re.escape(word[:-2] + word[-1])}[{VOWELS}]{LETTER}{{0,3}}+"


def _border(behind: str, character: str) -> str:
    """What must not stand before a name that begins with a character (`<`), or after one that ends with it."""
    if re.fullmatch(f"[{KATAKANA}]", character):
        return f"(?{behind}![{KATAKANA}])"
    if re.fullmatch(f"[{HANGUL}]", character):
        return f"(?<![{HANGUL}])" if behind else ""
    return f"(?{behind}!{LETTER})" if re.fullmatch(LETTER, character) else ""
