"""When two sightings are the same post."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.identity import LONGEST_POST, canonical_url, content_hash, post_identity, unwrap_redirect
from ingest.source import Item


def item(identity: str | None = None, url: str | None = None, title: str = "t", text: str = "x") -> Item:
    return Item(identity, url, title, text)


@pytest.mark.parametrize(
    "other",
    [
        "https://news.example/a/1?id=7&page=2",
        "http://news.example/a/1?page=2&id=7",
        "https://NEWS.example:443/a/1?id=7&page=2&utm_source=rss&utm_medium=x&fbclid=abc&gclid=1",
        "http://news.example:80/a/1?id=7&page=2#xtor=RSS-1",
        "https://news.example/a/1?id=7&page=2#:~:text=hello",
        "https://www.google.com/url?rct=j&sa=t&url=https://news.example/a/1%3Fid%3D7%26page%3D2&ct=ga&usg=AFQ",
        "https://user:secret@news.example/a/1?id=7&page=2",
        "https://news.example/%61/1?id=7&page=2",
    ],
)
def test_addresses_of_one_page_have_one_spelling(other: str) -> None:
    assert canonical_url(other) == "https://news.example/a/1?id=7&page=2"


@pytest.mark.parametrize(
    "other",
    [
        "https://news.example/a/1",
        "https://news.example/a/1?id=8",
        "https://x.example/a/1",
        "https://news.example/a/1?id=7#c2",
    ],
)
def test_other_pages_keep_other_spellings(other: str) -> None:
    assert canonical_url(other) != canonical_url("https://news.example/a/1?id=7")


def test_international_names_are_written_in_ascii() -> None:
    assert canonical_url("http://пример.рф/путь") == "https://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C"


@pytest.mark.parametrize(
    "nothing", ["", "mailto:a@example.org", "javascript:alert(1)", "/a/b", "http://[", "tag:x,2024:1"]
)
def test_what_is_no_web_address_has_no_canonical_one(nothing: str) -> None:
    assert canonical_url(nothing) is None


def test_only_googles_redirects_are_unwrapped() -> None:
    assert unwrap_redirect("https://www.google.co.uk/url?q=https://a.example/b") == "https://a.example/b"
    for other in (
        "https://www.google.com/search?q=https://a.example",
        "https://google.evil.example/url?q=https://a.example/",
    ):
        assert unwrap_redirect(other) == other


def test_identity_is_the_permalink_then_the_guid_then_the_content() -> None:
    assert post_identity("feed", item("g", "https://a.example/1"), True) == "https://a.example/1"
    assert post_identity("feed", item("g", "https://a.example/"), True) == "feed:g"
    assert post_identity("reviews", item("g", "https://a.example/1"), True, permalink=False) == "reviews:g"
    unstable = post_identity("feed", item("g", None), False)
    assert unstable == post_identity("feed", item("other", None), False)
    assert unstable != post_identity("feed", item("g", None, text="y"), False)


def test_long_identities_are_hashed() -> None:
    one, two = (post_identity("feed", item("g" * 600 + end), True) for end in "ab")
    assert len(one) <= LONGEST_POST
    assert one != two


def test_an_edit_changes_the_hash_and_the_author_does_not() -> None:
    assert content_hash(item()) == content_hash(item("other", "https://a.example"))
    assert len({content_hash(item()), content_hash(item(title="T")), content_hash(item(title="tx", text=""))}) == 3


@given(st.text(max_size=80))
def test_canonical_urls_are_stable_for_any_text(text: str) -> None:
    for address in (text, f"https://a.example/{text}", f"http://{text}/x"):
        if (once := canonical_url(address)) is not None:
            assert canonical_url(once) == once
