"""Each kind of source on documents written for it: `golden/NAME.*` and what is in it, `golden/NAME.json`."""

import io
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents.dates import to_iso
from ingest.source import Parsed, Unparsable
from ingest.sources import KINDS, sniff

GOLDEN = Path(__file__).parent / "golden"
DOCUMENTS = {
    "rss.xml": "feed",
    "atom.xml": "feed",
    "rdf.xml": "feed",
    "jsonfeed.json.txt": "feed",
    "google_alerts.xml": "google_alerts",
    "app_store.json.txt": "app_store",
    "app_store_xml.xml": "app_store",
    "reviews_json_ld.html": "reviews",
    "reviews_microdata.html": "reviews",
}
ADDRESS = "https://site.example/feed"


def shown(parsed: Parsed) -> object:
    items = [asdict(item) | {"published": to_iso(item.published)} for item in parsed.items]
    return {"interval": parsed.interval, "items": items}


def body_of(name: str) -> bytes:
    text = (GOLDEN / name).read_text(encoding="utf-8")
    return text.encode("iso-8859-1") if 'encoding="iso-8859-1"' in text else text.encode()


@pytest.mark.parametrize(("name", "kind"), DOCUMENTS.items())
def test_golden_documents(name: str, kind: str) -> None:
    expected = json.loads((GOLDEN / f"{name.partition('.')[0]}.json").read_text(encoding="utf-8"))
    assert shown(KINDS[kind].parse(body_of(name), None, ADDRESS)) == expected


@pytest.mark.parametrize(("name", "kind"), DOCUMENTS.items())
def test_the_kind_is_seen_by_the_look_of_the_document(name: str, kind: str) -> None:
    assert sniff(body_of(name)) == kind


def test_every_kind_has_a_golden_document_and_says_its_terms() -> None:
    assert set(DOCUMENTS.values()) == set(KINDS)
    for name, kind in KINDS.items():
        assert name == kind.NAME
        assert kind.TERMS.endswith(".")
        assert kind.Config(kind=name, url=ADDRESS).id.startswith(f"{name}:site.example:")


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        ("feed", b"", "empty"),
        ("feed", b"hello", "no feed"),
        ("feed", b"<html><body>hi</body></html>", "web page"),
        ("feed", b"<opml version='2.0'><body/></opml>", "OPML"),
        ("feed", b"<rss version='2.0'><channel><title>cut", "cut off"),
        ("feed", b'{"items": 5}', "no list `items`"),
        ("feed", b'{"items": [', "broken JSON"),
        ("feed", b"[" * 100_000, "nested too deeply"),
        ("google_alerts", b"no", "no feed"),
        ("app_store", b"{}", "no reviews of the App Store"),
        ("app_store", b"<html>", "web page"),
        ("reviews", b"<html><body>hi</body></html>", "no schema.org reviews"),
        ("reviews", b"", "no schema.org reviews"),
        ("reviews", b'<link rel="alternate" type="application/rss+xml" href="/f">', "names a feed, which you can add: https://site.example/f"),
    ],
)  # fmt: skip
def test_other_documents_are_refused_in_a_sentence(kind: str, body: bytes, sentence: str) -> None:
    with pytest.raises(Unparsable, match=sentence) as refused:
        KINDS[kind].parse(body, None, ADDRESS)
    assert "\n" not in str(refused.value)


def test_an_empty_feed_is_a_feed() -> None:
    assert KINDS["feed"].parse(b"<rss version='2.0'><channel></channel></rss>", None, ADDRESS).items == []


def test_rss_in_a_namespace_of_its_own_is_read() -> None:
    body = (
        b"<?xml?xml version='1.0'??><rss><rss:channel><rss:item><rss:title>T</rss:title></rss:item></rss:channel></rss>"
    )
    assert [item.title for item in KINDS["feed"].parse(body, None, ADDRESS).items] == ["T"]


def test_what_feedparser_stumbles_over_does_not_lose_the_items_before() -> None:
    body = b"""<rss version='2.0' xmlns:creativeCommons='http://backend.userland.com/creativeCommonsRssModule'><channel>
    <item><title>A</title></item><item><title>B</title></creativeCommons:license></item></channel></rss>"""
    with pytest.raises(KeyError):
        feedparser.parse(io.BytesIO(body))
    assert [item.title for item in KINDS["feed"].parse(body, None, ADDRESS).items] == ["A", "B"]


def test_a_feed_that_lost_its_first_tags_is_still_seen_as_one() -> None:
    assert sniff(b"<title>T</title><entry><title>A</title></entry></feed>") == "feed"
    assert sniff(b"<html><body><article><item>") == "reviews"


def test_a_feed_that_is_cut_gives_what_came() -> None:
    body = b"<rss version='2.0'><channel><item><title>A</title></item><item><title>B</title><description>hal"
    assert [item.title for item in KINDS["feed"].parse(body, None, ADDRESS).items] == ["A", "B"]


def test_a_json_feed_that_is_cut_gives_its_whole_items() -> None:
    body = b'{"version": "1", "items": [{"id": "1", "title": "A"}, {"id": "2", "title": "B"} , {"id": "3", "ti'
    assert [item.title for item in KINDS["feed"].parse(body, None, ADDRESS).items] == ["A", "B"]


def test_google_news_has_no_stable_ids() -> None:
    body = body_of("rss.xml")
    assert not KINDS["feed"].parse(body, None, "https://news.google.com/rss/search?q=kometa").stable_ids
    assert KINDS["feed"].parse(body, None, ADDRESS).stable_ids


def test_entities_and_external_files_of_xml_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    head = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "file://{secret}"><!ENTITY a "{"ha" * 50}">'
    lol = "".join(f'<!ENTITY {two} "{f"&{one};" * 50}">' for one, two in zip("abcd", "bcde", strict=True))
    body = f"{head}{lol}]><rss version='2.0'><channel><item><title>T &x; &e;</title></item></channel></rss>"
    (item,) = KINDS["feed"].parse(body.encode(), None, ADDRESS).items
    assert "hush" not in item.title
    assert len(item.title) < 10_000


PIECES = st.sampled_from(
    [b"<rss>", b"<channel>", b"<item>", b"<title>", b"</title>", b"</item>", b"<entry>", b"<link href='x'/>", b"<feed>", b"&", b"&#0;", b"<![CDATA[",
     b"]]>", b"<guid>", b"<pubDate>", b"2024", b"\xff", b"<?xml encoding='x'?>", b"<content type='xhtml'>", b"<div>", b"<x:y>", b"xml:base='//['",
     b'{"items": [', b"{}", b'{"id": 1}', b"]}", b'"\\ud800"', b'<script type="application/ld+json">', b"</script>", b'{"@type": "Review", "review": [',
     b"<p itemscope itemtype='https://schema.org/Review'>", b"<i itemprop='author'>", b"<time itemprop='datePublished'>", b'{"feed": {"entry": ']
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.binary(max_size=60) | st.lists(PIECES, max_size=14).map(b"".join))
def test_any_bytes_are_parsed_or_refused(kind: str, body: bytes) -> None:
    try:
        assert isinstance(KINDS[kind].parse(body, None, ADDRESS), Parsed)
    except Unparsable as refused:
        assert str(refused).count("\n") == 0
    assert sniff(body) in KINDS


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["@type", "@id", "@graph", "review", "reviewRating", "ratingValue", "author", "name", "items", "id", "url", "feed", "entry", "title", "link"]), inner, max_size=4), max_leaves=20))  # fmt: skip
def test_json_of_any_shape_is_parsed_or_refused(value: object) -> None:
    body = json.dumps(value).encode()
    page = b'<script type="application/ld+json">' + body + b"</script>"
    for kind, document in (("feed", body), ("app_store", body), ("reviews", page)):
        with suppress(Unparsable):
            assert isinstance(KINDS[kind].parse(document, None, ADDRESS), Parsed)
