"""Markup -> plain text: no tags, entities decoded, white space folded, blocks on lines of their own."""

import html
import re

from lxml import etree

MAX_MARKUP = 256 * 1024
"""Characters of one field that are read. The reader is linear in them, also for nested or unclosed tags."""
MAX_TEXT = 32 * 1024
"""Characters of one field that are kept."""

_BLOCKS = frozenset(
    """
    address article aside blockquote body br caption center dd details dialog div dl dt fieldset figcaption figure footer
    form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol option p pre section summary table tbody td tfoot th thead
    tr ul
    """.split()  # noqa: SIM905 - as a list of quoted words it is unreadable
)
_SILENT = frozenset(
    {
        "head",
        "iframe",
        "noembed",
        "noframes",
        "object",
        "script",
        "select",
        "style",
        "svg",
        "template",
        "textarea",
        "title",
    }
)
_TAGS = _BLOCKS | frozenset(
    """
    a abbr acronym b bdi bdo big cite code data del dfn em embed font i iframe img input ins kbd label link mark meta math
    noscript object param picture q rp rt ruby s samp script small source span strike strong style sub sup svg time tt u
    var video audio wbr
    """.split()  # noqa: SIM905 - as a list of quoted words it is unreadable
)
_LOOKS_LIKE_HTML = re.compile(
    r"<(?:/?([a-zA-Z][a-zA-Z0-9]*)(?:\s+[\w:-]+\s*=[^<>]*|\s*)/?>|!--|!\[CDATA\[)|&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);"
)
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\ud800-\udfff]")
_INVISIBLE = re.compile(r"[\u00ad\u200b\ufeff\u2060]")


def plain(text: str) -> str:
    """Text without markup: white space folded, line breaks kept as one."""
    lines = _INVISIBLE.sub("", _CONTROL.sub(" ", text[:MAX_MARKUP])).splitlines()
    return "\n".join(folded for line in lines if (folded := " ".join(line.split())))[:MAX_TEXT].rstrip()


def line(text: str) -> str:
    """The same on one line."""
    return " ".join(text.split())


def from_html(markup: str) -> str:
    """What a reader of the page sees. Bounded by `MAX_MARKUP` and `MAX_TEXT`."""
    markup = _CDATA.sub(" ", _CONTROL.sub(" ", markup[:MAX_MARKUP]))
    if "<" not in markup:
        return plain(" ".join(html.unescape(markup).split()))
    parser = etree.HTMLParser(target=_Text(), no_network=True)
    try:
        parser.feed(markup)
        text: str = parser.close()
    except (etree.ParserError, etree.XMLSyntaxError, AssertionError):
        text = re.sub(r"<[^<>]*>", " ", markup)
    return plain(text)


def from_either(text: str) -> str:
    """Text of a field that may hold HTML or not, as RSS allows: HTML if it has a known tag or an entity."""
    return from_html(text) if looks_like_html(text) else plain(text)


def looks_like_html(text: str) -> bool:
    """Whether there is at least one HTML tag, comment or character reference."""
    return any(
        (tag := found.group(1)) is None or tag.lower() in _TAGS
        for found in _LOOKS_LIKE_HTML.finditer(text[:MAX_MARKUP])
    )


class _Text:
    """Receives the parser's events and gathers what is to be read."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._silent = 0

    def start(self, tag: str, _attributes: object) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self._pieces.append("\n")

    def end(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS:
            self._pieces.append("\n")

    def data(self, data: str) -> None:
        if not self._silent:
            self._pieces.append(re.sub(r"\s", " ", data))

    def comment(self, _text: str) -> None:
        pass

    def close(self) -> str:
        return "".join(self._pieces)
