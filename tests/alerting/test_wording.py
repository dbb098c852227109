"""How a page reads, and that nothing of what strangers wrote can do more than be read."""

import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting import wording
from tests.support.pages import page, quote


def test_a_page_in_plain_text() -> None:
    assert (
        wording.plain(page())
        == """\
Kometa: 41 negative mentions where 6 are usual.

Since: 2026-03-02 14:35 UTC (25 min before the alarm)
Expected: 6.1
Observed: 41, 6.7 times as many
Why: A surge, evidence 9.1 against a threshold of 7.5.
Languages: pl 60 %, de 25 %, tr 15 %
Sources: forum.example (feed) 70 %, apps.example (app_store) 30 %
Incident: a1b2c3d4

1. “Aplikacja nie działa od rana, przelewy znikają.”
   Jan, pl, forum.example (feed), 2026-03-02 14:50 UTC
   https://forum.example/1

2. “Support antwortet nicht.”
   de, forum.example (feed), 2026-03-02 14:50 UTC
   https://kritik.example/9

3. “Yine çöktü!”
   Jan, tr, forum.example (feed), 2026-03-02 14:50 UTC

Take it over, so that nobody else is woken up: tocsin ack a1b2c3d4
"""
    )


def test_the_end_in_plain_text() -> None:
    said = wording.plain(page(kind="close", acknowledge="", reason="Back near the usual level."))
    assert (
        said
        == """\
The wave about Kometa is over.

Since: 2026-03-02 14:35 UTC (25 min before the alarm)
Why: Back near the usual level.
Incident: a1b2c3d4
"""
    )


@pytest.mark.parametrize(
    ("changed", "subject"),
    [
        ({}, "[Tocsin] Kometa: 41 negative mentions where 6 are usual (since 14:35 UTC)"),
        (
            {"expected": 0.04, "observed": 1},
            "[Tocsin] Kometa: 1 negative mention where 0.04 are usual (since 14:35 UTC)",
        ),
        ({"expected": 1.0}, "[Tocsin] Kometa: 41 negative mentions where 1 is usual (since 14:35 UTC)"),
        ({"kind": "close"}, "[Tocsin] Kometa: it is over (41 negative mentions where 6 are usual since 14:35 UTC)"),
        ({"kind": "test"}, "[Tocsin] Test: this channel works"),
    ],
)
def test_subjects(changed: dict[str, object], subject: str) -> None:
    assert wording.subject(page(**changed)) == subject


def test_shares_of_one_name_are_added_up_and_small_ones_are_others() -> None:
    parts = [("a", 0.4), ("b", 0.2), ("c", 0.1), ("a", 0.1), ("d", 0.1), ("e", 0.06), ("f", 0.04)]
    assert wording.shares(parts) == "a 50 %, b 20 %, c 10 %, d 10 %, others 10 %"


@pytest.mark.parametrize(
    ("said", "cleaned"),
    [
        ("a\r\nBcc: x", "a Bcc: x"),
        ("abc\u202etxt.exe", "abctxt.exe"),
        ("\u2066hidden\u2069 \u200ba\ufeffb\u00ad", "hidden ab"),
        ("pay\u200dpal", "paypal"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
        ("a\ud800b\x00c", "ab c"),
    ],
)
def test_cleaning(said: str, cleaned: str) -> None:
    assert wording.clean(said) == cleaned


@given(st.text(alphabet=st.characters(), max_size=600))
def test_whatever_is_quoted_is_one_short_readable_line(text: str) -> None:
    said = wording.cut(wording.clean(text))
    assert len(said) <= wording.MOST_QUOTED
    assert said == said.strip()
    categories = {unicodedata.category(c) for c in said if c not in wording.JOINERS}
    assert not categories & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    said.encode()


def test_quotes_are_cut_at_a_word() -> None:
    assert wording.cut("one two three", 9) == "one two…"
    assert wording.cut("one two three", 8) == "one two…"
    assert wording.cut("one two three", 13) == "one two three"
    assert wording.cut("漢字" * 10, 7) == "漢字漢字漢字…"
    assert wording.cut("e\u0301" * 10, 6) == "e\u0301e\u0301…"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://forum.example/a?b=1&c=2#d", "https://forum.example/a?b=1&c=2#d"),
        ("https://пример.example/путь", "https://пример.example/путь"),
        ("https://x.example/a b<i>\"'|", "https://x.example/a%20b%3Ci%3E%22%27%7C"),
        ("https://x.example/\u202eexe", "https://x.example/%E2%80%AEexe"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("//x.example/", None),
        ("https:///nowhere", None),
        ("https://[::1", None),
        ("https://x.example/" + "a" * 900, None),
        (None, None),
    ],
)
def test_links(url: str | None, shown: str | None) -> None:
    assert wording.link(url) == shown


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def _tags(html: str) -> Tags:
    parsed = Tags()
    parsed.feed(html)
    return parsed


HOSTILE = st.text(alphabet=st.sampled_from("<>&\"'/= abscript:onx\u202e\n"), max_size=80)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_html_has_our_tags_alone(brand: str, text: str, url: str) -> None:
    hostile = page(
        brand=brand,
        reason=text,
        quotes=[quote(text, author=url, url=f"https://x.example/{url}")],
        sources=[(text, 1.0)],
    )
    mild = page(brand="b", reason="r", quotes=[quote("t", url="https://x.example/")], sources=[("s", 1.0)])
    found, expected = _tags(wording.rich_mail(hostile)), _tags(wording.rich_mail(mild))
    assert set(found.tags) == set(expected.tags)
    assert found.tags.count("blockquote") == 1
    assert all(link.startswith("https://x.example/") for link in found.links)


def test_html_says_what_the_text_says() -> None:
    html = _tags(wording.rich_mail(page(quotes=[quote("<script>alert('x')</script>")])))
    assert "<script>alert('x')</script>" in html.text
    assert "script" not in html.tags
    assert "tocsin ack a1b2c3d4" in html.text
