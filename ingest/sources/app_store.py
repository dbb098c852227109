"""Customer reviews of an app as Apple publishes them, in JSON and in XML.

Address: `https://itunes.apple.com/COUNTRY/rss/customerreviews/id=APP/sortBy=mostRecent/json` (or `/xml`).
"""

from typing import Any, Literal

from ingest.documents.charset import decode
from ingest.documents.dates import parse_date
from ingest.documents.json_feed import load_json
from ingest.documents.plain_text import line, plain
from ingest.documents.syndication import Entry, read_syndication
from ingest.source import Item, Parsed, SourceConfig, Unparsable
from ingest.sources.feed import base_of, date_of, link_of, refuse_other_documents, text_of, title_of

NAME = "app_store"
TERMS = "Apple publishes these feeds for readers; it asks to link back and not to republish reviews as a service."
OBEYS_ROBOTS = False
PERMALINKS = False


class Config(SourceConfig):
    """Reviews of one app in one country."""

    kind: Literal["app_store"] = "app_store"


def parse(body: bytes, content_type: str | None, url: str) -> Parsed:
    """Reviews in document order; old feeds begin with the app itself, which has no stars."""
    text = decode(body, content_type).lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[")):
        return Parsed([_from_json(entry) for entry in _json_entries(load_json(text))])
    feed = read_syndication(text)
    refuse_other_documents(feed, text)
    base = base_of(feed, url)
    return Parsed([_from_xml(entry, base) for entry in feed.entries])


def _json_entries(document: Any) -> list[dict[str, Any]]:
    feed = document.get("feed") if isinstance(document, dict) else None
    if not isinstance(feed, dict):
        raise Unparsable("This JSON holds no reviews of the App Store: it has no object `feed`.")
    entries = feed.get("entry", [])
    return [entry for entry in (entries if isinstance(entries, list) else [entries]) if isinstance(entry, dict)]


def _from_json(entry: dict[str, Any]) -> Item:
    author = entry.get("author")
    return Item(
        id=_label(entry.get("id")) or None,
        url=_href(entry.get("link")),
        title=line(plain(_label(entry.get("title")))),
        text=plain(_label(entry.get("content") or entry.get("summary"))),
        author=line(plain(_label(author.get("name")))) or None if isinstance(author, dict) else None,
        published=parse_date(_label(entry.get("updated"))),
        stars=_stars(_label(entry.get("im:rating"))),
        extra=_extra({key: _label(entry.get(f"im:{key}")) for key in ("version", "voteSum", "voteCount")}),
    )


def _from_xml(entry: Entry, base: str) -> Item:
    plain_texts = [detail["value"] for detail in entry.get("content") or [] if detail.get("type") == "text/plain"]
    return Item(
        id=entry.get("id") or None,
        url=link_of(entry, base),
        title=title_of(entry),
        text=plain(plain_texts[0]) if plain_texts else text_of(entry),
        author=line(plain((entry.get("author_detail") or {}).get("name") or "")) or None,
        published=date_of(entry),
        stars=_stars(entry.get("im_rating")),
        extra=_extra({key: entry.get(f"im_{key.lower()}") for key in ("version", "voteSum", "voteCount")}),
    )


def _label(value: Any) -> str:
    label = value.get("label") if isinstance(value, dict) else value
    return label if isinstance(label, str) else ""


def _href(link: Any) -> str | None:
    first = link[0] if isinstance(link, list) and link else link
    attributes = first.get("attributes") if isinstance(first, dict) else None
    href = attributes.get("href") if isinstance(attributes, dict) else None
    return href if isinstance(href, str) and href.startswith(("http://", "https://")) else None


def _stars(written: Any) -> float | None:
    try:
        stars = float(written)
    except (TypeError, ValueError):
        return None
    return stars if 1 <= stars <= 5 else None


def _extra(found: dict[str, Any]) -> dict[str, Any]:
    names = {"voteSum": "vote_sum", "voteCount": "vote_count"}
    return {names.get(key, key): value for key, value in found.items() if isinstance(value, str) and value}
