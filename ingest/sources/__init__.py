"""The kinds of sources. A new one is a file here, a line in `KINDS` and a golden document in the tests."""

import re

from ingest.documents.charset import decode
from ingest.source import Kind
from ingest.sources import app_store, feed, google_alerts, reviews

KINDS: dict[str, Kind] = {kind.NAME: kind for kind in (feed, google_alerts, app_store, reviews)}
"""By the name in the configuration."""

_FIRST_TAG = re.compile(r"<!doctype\s+(html)|<([a-z][\w.-]*:)?([a-z][\w.-]*)", re.IGNORECASE)
_FEED_TAG = re.compile(r"<(?:rss|channel|item|entry)[\s>]", re.IGNORECASE)
_PAGE_TAGS = {"html", "head", "body", "div", "meta", "title", "script", "p", "h1", "table", "span"}


def sniff(body: bytes, content_type: str | None = None) -> str:
    """The kind of source that a document seems to come from."""
    start = decode(body[:60_000] if not body.startswith(b"\x1f\x8b") else body, content_type)[:60_000].lstrip(
        "\ufeff \t\r\n"
    )
    if start.startswith(("{", "[")):
        return "app_store" if '"im:' in start or re.match(r'\{\s*"feed"\s*:', start) else "feed"
    without_comments = re.sub(r"<!--.*?-->", "", start[:10_000], flags=re.DOTALL)
    first = _FIRST_TAG.search(without_comments)
    tag = (first.group(1) or first.group(3)).lower() if first else ""
    if tag in _PAGE_TAGS and not (_FEED_TAG.search(without_comments) and "<body" not in without_comments.lower()):
        return "reviews"
    if "http://itunes.apple.com/rss" in start and ("im:rating" in start or "customerreviews" in start.lower()):
        return "app_store"
    if "google.com/alerts/feeds" in start or "/state/com.google/alerts/" in start:
        return "google_alerts"
    return "feed"
