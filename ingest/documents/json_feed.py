"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/)."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from ingest.documents.dates import parse_date
from ingest.documents.plain_text import from_html, line, plain
from ingest.source import Item, Parsed, Unparsable

_ITEMS = re.compile(r'"items"\s*:\s*\[\s*')
_NEXT = re.compile(r"\s*,\s*")


def load_json(text: str) -> Any:
    """Read JSON from outside. Raises Unparsable with the place of the mistake."""
    try:
        return json.loads(text, strict=False)
    except json.JSONDecodeError as fault:
        raise Unparsable(f"This is broken JSON: {fault.msg} in line {fault.lineno}.") from fault
    except (RecursionError, ValueError) as fault:
        raise Unparsable("This JSON is nested too deeply or has a number that is too long.") from fault


def read_json_feed(text: str, url: str) -> Parsed:
    """Items of a JSON Feed; anything with a list `items` of objects passes."""
    try:
        feed = load_json(text)
    except Unparsable:
        if not (whole := list(_whole_items(text))):
            raise
        feed = {"items": whole}
    if not isinstance(feed, dict) or not isinstance(feed.get("items"), list):
        raise Unparsable("This JSON is no JSON Feed: it has no list `items`.")
    addresses = (url, _string(feed, "feed_url"), _string(feed, "home_page_url"))
    base = next((address for address in addresses if is_web(address)), "")
    return Parsed([_item(item, feed, base) for item in feed["items"] if isinstance(item, dict)])


def _whole_items(text: str) -> Iterator[Any]:
    """The items of a document that was cut off, as far as they are whole."""
    decoder = json.JSONDecoder(strict=False)
    found = _ITEMS.search(text)
    while found:
        try:
            item, end = decoder.raw_decode(text, found.end())
        except (ValueError, RecursionError):
            return
        yield item
        found = _NEXT.match(text, end)


def _item(item: dict[str, Any], feed: dict[str, Any], base: str) -> Item:
    identity = item.get("id")
    return Item(
        id=str(identity) if isinstance(identity, str | int | float) and identity != "" else None,
        url=_link(item, base),
        title=line(plain(_string(item, "title"))),
        text=_text(item),
        author=_author(item) or _author(feed),
        published=parse_date(_string(item, "date_published")) or parse_date(_string(item, "date_modified")),
        language=_string(item, "language") or _string(feed, "language") or None,
        extra=_extra(item),
    )


def _text(item: dict[str, Any]) -> str:
    return (
        from_html(_string(item, "content_html"))
        or plain(_string(item, "content_text"))
        or plain(_string(item, "summary"))
    )


def _link(item: dict[str, Any], base: str) -> str | None:
    for address in (item.get("url"), item.get("external_url"), item.get("id")):
        if isinstance(address, str) and address and (is_web(address) or address is not item.get("id")):
            try:
                absolute = urljoin(base, address.strip())
            except ValueError:
                continue
            if is_web(absolute):
                return absolute
    return None


def _author(thing: dict[str, Any]) -> str | None:
    authors = thing.get("authors")
    people = authors if isinstance(authors, list) and authors else [thing.get("author")]
    names = [
        person if isinstance(person, str) else _string(person, "name")
        for person in people
        if isinstance(person, dict | str)
    ]
    return ", ".join(line(plain(name)) for name in names if name.strip()) or None


def _extra(item: dict[str, Any]) -> dict[str, Any]:
    tags = item.get("tags")
    found = {
        "updated": parse_date(_string(item, "date_modified")),
        "categories": [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        "external_url": _string(item, "external_url"),
    }
    return {key: value for key, value in found.items() if value}


def _string(thing: dict[str, Any], key: str) -> str:
    value = thing.get(key)
    return value if isinstance(value, str) else ""


def is_web(address: Any) -> bool:
    """Whether it is an absolute http(s) address."""
    return isinstance(address, str) and address.startswith(("http://", "https://"))
