"""Google Alerts delivered as a feed: Atom whose links lead through Google and whose titles mark the search words."""

from dataclasses import replace
from typing import Literal

from ingest.identity import unwrap_redirect
from ingest.source import Item, Parsed, SourceConfig
from ingest.sources import feed

NAME = "google_alerts"
TERMS = "The feed is for you alone: its address is a secret, keep it out of logs; follow the links for the full text."
OBEYS_ROBOTS = False
PERMALINKS = True


class Config(SourceConfig):
    """An alert in the configuration: create it at google.com/alerts with `Deliver to: RSS feed`."""

    kind: Literal["google_alerts"] = "google_alerts"


def parse(body: bytes, content_type: str | None, url: str) -> Parsed:
    """Items with the real addresses of what was found."""
    parsed = feed.parse(body, content_type, url)
    return replace(parsed, items=[_unwrap(item) for item in parsed.items])


def _unwrap(item: Item) -> Item:
    return replace(item, url=unwrap_redirect(item.url)) if item.url else item
