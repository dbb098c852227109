"""Mend what is often wrong in the XML of feeds, so that a strict parser reads it. Linear in the text."""

import html.entities
import re
from collections.abc import Iterator

_OPENERS = {"<![CDATA[": "]]>", "<!--": "-->"}
_OPENER = re.compile(r"<!\[CDATA\[|<!--")
_DECLARATION = re.compile(r"<\?xml[\s?][^<>]*>", re.I)
_AMPERSAND = re.compile(r"&(?:#(\d{1,7});|#[xX]([0-9a-fA-F]{1,6});|([A-Za-z][A-Za-z0-9]{0,31});)?")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_PREDEFINED = {"amp", "lt", "gt", "quot", "apos"}
_ROOT = re.compile(r"<[A-Za-z!?]")


def repair(text: str) -> str:
    """The same document without XML declaration (it is text by now) and leading junk.

    Characters that XML forbids are dropped, bare ampersands are escaped, HTML's named entities are written out.
    Entities that the document itself defines stay.
    """
    start = _ROOT.search(text)
    if start is None:
        return text
    text = _FORBIDDEN.sub("", text[start.start() :])
    own_entities = "<!ENTITY" in text[:20_000]
    return "".join(piece if literal else _mend(piece, own_entities) for literal, piece in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Cut into CDATA sections and comments (True) and the markup between them."""
    place = 0
    while opener := _OPENER.search(text, place):
        end = text.find(closer := _OPENERS[opener.group()], opener.end())
        if end < 0:
            break
        yield False, text[place : opener.start()]
        place = end + len(closer)
        yield True, text[opener.start() : place]
    yield False, text[place:]


def _mend(markup: str, own_entities: bool) -> str:
    def reference(found: re.Match[str]) -> str:
        decimal, hexadecimal, name = found.groups()
        if decimal or hexadecimal:
            return found.group() if _allowed(int(decimal) if decimal else int(hexadecimal, 16)) else ""
        if not name:
            return "&amp;"
        if name in _PREDEFINED:
            return found.group()
        if character := html.entities.html5.get(f"{name};"):
            return "".join(f"&#{ord(c)};" if c in "<>&" else c for c in character)
        return found.group() if own_entities else f"&amp;{name};"

    return _AMPERSAND.sub(reference, _DECLARATION.sub("", markup))


def _allowed(code: int) -> bool:
    """Char of XML 1.0."""
    return code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
