"""Documents of real sources, which lie outside of this repository: every one gives its items, or a reason why not."""

import io
import os
from pathlib import Path

import feedparser
import pytest

from ingest.documents.dates import EARLIEST
from ingest.documents.plain_text import MAX_TEXT
from ingest.source import Unparsable
from ingest.sources import KINDS, sniff

FOLDER = os.environ.get("TOCSIN_FEEDS")
MISSING = "no documents of real sources here: run with TOCSIN_FEEDS=FOLDER, a folder of feeds and pages"

NO_ITEMS = {
    "broken/feed-rs__rss_2.0_invalid_1.xml": "cut off",  # ends within the channel's head
    "broken/rss-parser__unrecognized.rss": "web page",  # "Document Moved"
    "encodings/v2__iso88591_utf8_mismatch.xml": "no feed",  # a <note>
    "hn_algolia_json/communal__sampleCommentsOutput.json": "no list `items`",  # an API of its own
    "hn_algolia_json/communal__sampleNewsOutput.json": "no list `items`",
    "html_article/Feeder__gb2312.html": "no schema.org reviews",
    "html_article/Feeder__muhasebetre_article.html": "names a feed",
    "html_article/newspaper4k__japanese_article2.html": "no schema.org reviews",
    "html_article/newspaper4k__yna_co_kr.html": "no schema.org reviews",
    "html_article/trafilatura__assabah.com.tn.article.html": "no schema.org reviews",
    "html_not_feed/newspaper4k__google_meta_refresh.html": "no schema.org reviews",
    "html_not_feed/node-feedparser__notafeed.html": "no schema.org reviews",
    "opml/Feeder__Flym_auto_backup.opml": "OPML",
    "opml/Feeder__antennapod-feeds.opml": "OPML",
    "social_api_json/huginn__one_tweet.json": "no list `items`",
    "social_api_json/huginn__threads_user_posts.json": "no list `items`",
    "steam_json/games-db__appreviews-620.json": "no list `items`",
}
"""Documents without items for us, and what the sentence about each says."""
EMPTY = {
    "broken/simplepie__feed-with-whitespace-before-xml-declaration.xml",
    "encodings/v2__windows-1252-incorrect-prolog.xml",
}
"""Feeds that are in order and hold nothing."""


def documents() -> list[Path]:
    return sorted(path for path in Path(FOLDER or "/nonexistent").glob("*/*") if path.is_file())


@pytest.mark.skipif(not documents(), reason=MISSING)
@pytest.mark.parametrize("path", documents(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_document_gives_at_least_what_feedparser_finds(path: Path) -> None:
    body = path.read_bytes()
    name = f"{path.parent.name}/{path.name}"
    reference = feedparser.parse(io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False).entries
    if name in NO_ITEMS:
        with pytest.raises(Unparsable, match=NO_ITEMS[name]):
            KINDS[sniff(body)].parse(body, None, "")
        assert not reference
        return
    items = KINDS[sniff(body)].parse(body, None, "").items
    assert len(items) >= max(len(reference), name not in EMPTY)
    for item in items:
        assert item.url is None or " " not in item.url
        assert "\n" not in item.title
        assert len(item.text) <= MAX_TEXT
        assert item.published is None or item.published >= EARLIEST
        assert "\ufffd" not in item.title + item.text or b"\xef\xbf\xbd" in body
    for entry, item in zip(reference, items, strict=False):
        if entry.get("link", "").startswith("http"):
            assert item.url == entry["link"] or "google.com/url" in entry["link"]
        if entry.get("published_parsed"):
            assert item.published is not None


@pytest.mark.skipif(not documents(), reason=MISSING)
def test_the_table_of_exceptions_names_documents_that_are_there() -> None:
    names = {f"{path.parent.name}/{path.name}" for path in documents()}
    assert names >= NO_ITEMS.keys() | EMPTY or not names & (NO_ITEMS.keys() | EMPTY)
