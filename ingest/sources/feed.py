"""RSS 0.9x, 1.0, 2.0, Atom and JSON Feed."""

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

from ingest.documents.charset import decode
from ingest.documents.dates import parse_date
from ingest.documents.json_feed import is_web, read_json_feed
from ingest.documents.plain_text import from_either, from_html, line, plain
from ingest.documents.syndication import Entry, Syndication, read_syndication
from ingest.source import Item, Parsed, SourceConfig, Unparsable

NAME = "feed"
TERMS = "A feed is published to be read by programs; ask it no more often than it asks for, and keep quotes short."
OBEYS_ROBOTS = False
PERMALINKS = True

_PERIODS = {"hourly": 3_600.0, "daily": 86_400.0, "weekly": 604_800.0, "monthly": 2_592_000.0, "yearly": 31_536_000.0}
_CHANGING_IDS = ("https://news.google.", "http://news.google.")
"""Publishers that give the same post another id at every fetch."""


class Config(SourceConfig):
    """A feed in the configuration."""

    kind: Literal["feed"] = "feed"


def parse(body: bytes, content_type: str | None, url: str) -> Parsed:
    """Items of a feed of any format, in document order."""
    text = decode(body, content_type).lstrip("\ufeff \t\r\n")
    if not text:
        raise Unparsable("The document is empty.")
    if text.startswith(("{", "[")):
        return read_json_feed(text, url)
    feed = read_syndication(text)
    refuse_other_documents(feed, text)
    return Parsed(list(_items(feed, url)), _interval(feed.feed), not url.startswith(_CHANGING_IDS))


def refuse_other_documents(feed: Syndication, text: str) -> None:
    """Raises Unparsable with what the document is instead of a feed."""
    if feed.entries:
        return
    start = text[:2_000].lower()
    if "<opml" in start:
        raise Unparsable("This is a list of feeds (OPML), not a feed: add the addresses in it as sources.")
    if "<html" in start or "<!doctype html" in start:
        raise Unparsable(
            "This is a web page, not a feed: look in it for a link to RSS or Atom, or use the kind `reviews`."
        )
    if not feed.version:
        raise Unparsable("This is no feed: no RSS, Atom or JSON Feed was found in it.")
    if not feed.whole:
        raise Unparsable("The feed is cut off or broken before its first item: fetch it again later.")


def _items(feed: Syndication, url: str) -> Iterator[Item]:
    base = base_of(feed, url)
    language = _language(feed.feed.get("language"))
    author = _author(feed.feed) if feed.version.startswith("atom") else None  # RFC 4287, 4.2.1
    for entry in feed.entries:
        yield _item(entry, base, language, author)


def base_of(feed: Syndication, url: str) -> str:
    """What relative links stand relative to: RSS means the site's address, Atom the document's own."""
    site, own = (
        feed.feed.get("link"),
        [link.get("href") for link in feed.feed.get("links") or [] if link.get("rel") == "self"],
    )
    candidates = (url, *own, site, feed.feed.get("id")) if feed.version.startswith("atom") else (site, url, *own)
    return next((address for address in candidates if isinstance(address, str) and is_web(address)), "")


def _item(entry: Entry, base: str, language: str | None, author: str | None) -> Item:
    return Item(
        id=entry.get("id") or None,
        url=link_of(entry, base),
        title=title_of(entry),
        text=text_of(entry),
        author=_author(entry) or _author(entry.get("source") or {}) or author,
        published=date_of(entry),
        language=_language(entry.get("language") or _detail_language(entry)) or language,
        extra=_extra(entry),
    )


def title_of(entry: Entry) -> str:
    """The headline on one line."""
    return line(_rich(entry.get("title_detail"), entry.get("title")))


def text_of(entry: Entry) -> str:
    """The full content, or else the longest kind of summary the entry has."""
    for detail in sorted(entry.get("content") or [], key=lambda detail: not detail.get("encoded")):
        if text := _rich(detail, ""):
            return text
    if text := _rich(entry.get("summary_detail"), entry.get("summary")):
        return text
    return from_either(entry.get("media_description") or "") or from_either(entry.get("itunes_summary") or "")


def link_of(entry: Entry, base: str) -> str | None:
    """The post's own address: its alternate link, its permalink guid, or another link that leads to it."""
    links = [link for link in entry.get("links") or [] if link.get("href")]
    by_relation = {link.get("rel", "alternate"): link["href"] for link in reversed(links)}
    relations = ("alternate", "related", "via", "self", "canonical")
    candidates = (
        entry.get("link"),
        by_relation.get("alternate"),
        entry.get("permalink"),
        *map(by_relation.get, relations),
    )
    return next((found for candidate in candidates if (found := web_address(candidate, base))), None)


def date_of(entry: Entry) -> float | None:
    """The time of publication, or else of the last change."""
    return next((moment for key in ("published", "created", "updated") if (moment := parse_date(entry.get(key)))), None)


def web_address(address: Any, base: str) -> str | None:
    """An address made absolute; it stays relative only where no base is known."""
    if not isinstance(address, str) or not (address := address.strip()):
        return None
    try:
        absolute = urljoin(base, address)
    except ValueError:
        return None
    return absolute if is_web(absolute) or not (base or urlsplit(absolute).scheme) else None


def _rich(detail: Entry | None, value: str | None) -> str:
    kind, text = (detail.get("type", ""), detail.get("value", "")) if detail else ("", value or "")
    if kind in ("text/html", "application/xhtml+xml"):
        return from_html(text)
    if kind.startswith("text/"):
        return plain(text)
    return from_either(text) if not kind or kind.endswith("xml") else ""


def _author(entry: Entry) -> str | None:
    names = [person.get("name") or person.get("email") for person in entry.get("authors") or []]
    found = ", ".join(dict.fromkeys(line(from_either(name)) for name in names if name))
    return found or line(from_either(entry.get("author") or "")) or None


def _detail_language(entry: Entry) -> str | None:
    details = [*(entry.get("content") or []), entry.get("title_detail") or {}, entry.get("summary_detail") or {}]
    return next((detail["language"] for detail in details if detail.get("language")), None)


def _language(tag: Any) -> str | None:
    if not isinstance(tag, str):
        return None
    tag = tag.strip().replace("_", "-")
    return tag if 2 <= len(tag) <= 20 and tag.replace("-", "").isalnum() and tag.isascii() else None


def _extra(entry: Entry) -> dict[str, Any]:
    tags = [line(tag["term"]) for tag in entry.get("tags") or [] if tag.get("term")]
    enclosures = [
        link["href"] for link in entry.get("links") or [] if link.get("rel") == "enclosure" and link.get("href")
    ]
    found = {
        "updated": parse_date(entry.get("updated")),
        "categories": list(dict.fromkeys(tags)),
        "enclosures": enclosures,
        "comments": entry.get("comments"),
        "source": line((entry.get("source") or {}).get("title") or ""),
    }
    return {key: value for key, value in found.items() if value}


def _interval(feed: Entry) -> float | None:
    """Seconds between polls that `ttl` (minutes) and `sy:updatePeriod` with `sy:updateFrequency` ask for."""
    asked = []
    if (minutes := _number(feed.get("ttl"))) is not None:
        asked.append(minutes * 60)
    if period := _PERIODS.get(str(feed.get("sy_updateperiod", "")).strip().lower()):
        asked.append(period / max(1.0, _number(feed.get("sy_updatefrequency")) or 1.0))
    return max((seconds for seconds in asked if 0 < seconds < 10**8), default=None)


def _number(written: Any) -> float | None:
    try:
        return float(str(written).strip())
    except ValueError:
        return None
