"""schema.org data of a page: JSON-LD and microdata, in one form.

A node is a dictionary: `@type` (list of short names), properties (lists of strings, numbers and nodes).
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from lxml import etree

from ingest.documents.plain_text import from_html

Node = dict[str, Any]
MAX_DEPTH = 60
"""Levels of nesting that are followed."""

_ADDRESS = {"a": "href", "area": "href", "link": "href", "img": "src", "audio": "src", "video": "src", "iframe": "src", "embed": "src", "source": "src", "object": "data"}  # fmt: skip
_TEXTS = frozenset({"reviewBody", "description", "text", "articleBody", "name", "headline"})
"""Properties whose visible text, where there is any, counts more than `content` of an element that is no `meta`."""


class Page:
    """An HTML page, parsed once."""

    def __init__(self, markup: str, url: str) -> None:
        parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
        encoded = markup.encode("utf-8", "replace")
        try:
            root = etree.fromstring(encoded, parser) if encoded.strip() else None
        except etree.XMLSyntaxError:
            root = None
        self._root = root if root is not None else etree.Element("html")
        base, canonical = self._root.find(".//base[@href]"), self._root.find(".//link[@rel='canonical'][@href]")
        self.url = url or (canonical.get("href").strip() if canonical is not None else "")
        self._base = _join(self.url, base.get("href")) if base is not None else self.url

    @property
    def language(self) -> str | None:
        """What the page says its language is."""
        language: str | None = self._root.get("lang") or self._root.get("{http://www.w3.org/XML/1998/namespace}lang")
        return language

    @property
    def feeds(self) -> list[str]:
        """Feeds that the page names."""
        links = self._root.iterfind(".//link[@rel='alternate'][@href]")
        return [
            _join(self._base, link.get("href"))
            for link in links
            if "rss" in (kind := link.get("type", "")) or "atom" in kind
        ]

    def json_ld(self) -> list[Any]:
        """Values of all JSON-LD blocks; those that cannot be read are left out."""
        blocks = (s.text for s in self._root.iter("script") if "ld+json" in (s.get("type") or "").lower())
        values = (_lenient_json(block) for block in blocks if block)
        return [value for value in values if value is not None]

    def microdata(self) -> list[Node]:
        """Items that are no property of another one."""
        scopes = (element for element in self._root.iter() if element.get("itemscope") is not None)
        return [self._item(scope, 0) for scope in scopes if scope.get("itemprop") is None]

    def _item(self, scope: Any, depth: int) -> Node:
        types = [kind.rstrip("/").rpartition("/")[2] for kind in (scope.get("itemtype") or "").split()]
        node: Node = {"@type": types}
        if identity := scope.get("itemid"):
            node["@id"] = _join(self._base, identity)
        for element in _properties(scope):
            value = self._value(element, depth)
            for name in (element.get("itemprop") or "").split():
                node.setdefault(name.rpartition("/")[2], []).append(value)
        return node

    def _value(self, element: Any, depth: int) -> Any:
        if element.get("itemscope") is not None:
            return self._item(element, depth + 1) if depth < MAX_DEPTH else ""
        content: str | None = element.get("content")
        visible = "" if element.tag == "meta" or element.get("itemprop") not in _TEXTS else _visible(element)
        if content is not None and not visible:
            return content
        if (attribute := _ADDRESS.get(element.tag)) and element.get(attribute):
            return _join(self._base, element.get(attribute))
        if element.tag in ("data", "meter") and element.get("value"):
            return element.get("value")
        if element.tag == "time" and element.get("datetime"):
            return element.get("datetime")
        return visible or _visible(element)


def _visible(element: Any) -> str:
    return from_html(etree.tostring(element, encoding="unicode", method="html", with_tail=False))


def _properties(scope: Any) -> Iterator[Any]:
    """Elements with `itemprop` that belong to this item, in document order; iterative, since pages nest deeply."""
    waiting = list(reversed(scope))
    while waiting:
        element = waiting.pop()
        if not isinstance(element.tag, str):
            continue
        if element.get("itemprop") is not None:
            yield element
        if element.get("itemscope") is None:
            waiting.extend(reversed(element))


def _lenient_json(block: str) -> Any:
    """JSON-LD as pages write it: in comments or CDATA, with trailing commas, semicolons and raw line breaks."""
    text = re.sub(
        r"^\s*(?:<!--|//\s*<!\[CDATA\[|<!\[CDATA\[|/\*.{0,40}?\*/)|(?:-->|//\s*\]\]>|\]\]>|;)\s*$", "", block.strip()
    ).strip()
    for attempt in (text, re.sub(r",(\s*[}\]])", r"\1", text)):
        try:
            return json.JSONDecoder(strict=False).raw_decode(attempt)[0]
        except (ValueError, RecursionError):
            continue
    return None


def _join(base: str, address: str | None) -> str:
    try:
        return urljoin(base, (address or "").strip())
    except ValueError:
        return address or ""
