"""Characters, dates and markup of documents."""

import gzip
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents.charset import MAX_BYTES, decode
from ingest.documents.dates import parse_date, to_iso
from ingest.documents.plain_text import MAX_TEXT, from_either, from_html, plain
from ingest.documents.xml_repair import repair

RUSSIAN = "Вышла новая комета: жалобы, огорчение и ещё раз жалобы"
POLISH = "Zażółć gęślą jaźń"


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (RUSSIAN.encode(), None, RUSSIAN),
        (b"\xef\xbb\xbf" + RUSSIAN.encode(), "text/xml; charset=windows-1251", RUSSIAN),
        (RUSSIAN.encode("cp1251"), "text/xml; charset=windows-1251", RUSSIAN),
        (b'<?xml version="1.0" encoding="koi8-r"?>' + RUSSIAN.encode("koi8-r"), None, RUSSIAN),
        (b'<?xml version="1.0" encoding="windows-1251"?>' + RUSSIAN.encode("cp1251"), "text/xml; charset=iso-8859-1", RUSSIAN),
        (b'<?xml version="1.0" encoding="iso-8859-1"?>' + RUSSIAN.encode(), None, RUSSIAN),
        (b'<?xml version="1.0" encoding="utf-8"?>' + RUSSIAN.encode("cp1251"), None, RUSSIAN),
        (b'<?xml version="1.0"?>' + RUSSIAN.encode("koi8-r"), None, RUSSIAN),
        (b'<?xml version="1.0" encoding="iso-8859-2"?>' + POLISH.encode("iso-8859-2"), None, POLISH),
        (b'<?xml version="1.0" encoding="utf-16"?>' + POLISH.encode(), None, POLISH),
        (f'<?xml version="1.0" encoding="utf-16"?>{POLISH}'.encode("utf-16"), None, POLISH),
        (f"<a>{POLISH}".encode("utf-16-be"), None, POLISH),
        (f"<a>{POLISH}".encode("utf-16-le"), None, POLISH),
        (f"<a>{POLISH}".encode("utf-32"), None, POLISH),
        (b'<meta charset="gb2312">' + "彗星很糟糕".encode("gb18030"), None, "彗星很糟糕"),
        (b'<meta charset="shift_jis">' + "彗星①".encode("cp932"), None, "彗星①"),
        (b'<?xml version="1.0" encoding="iso-2022-jp"?>' + "彗星".encode("iso-2022-jp"), None, "彗星"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?>' + "“Café” – €".encode("cp1252"), None, "“Café” – €"),
        (b'<?xml version="1.0" encoding="utf-8"?>Caf\xe9 cr\xe8me', None, "Café crème"),
        (f"{POLISH * 9} caf".encode() + b"\xe9", "text/xml; charset=iso-8859-2", "café"),
        (b'<?xml version="1.0" encoding="invented"?>Caf\xc3\xa9', None, "Café"),
        (b'<?xml version="1.0" encoding="utf-16"?>caf\xe9', None, "café"),
        (gzip.compress(POLISH.encode()), None, POLISH),
    ],
)  # fmt: skip
def test_the_encoding_is_found_whatever_is_declared(body: bytes, content_type: str | None, text: str) -> None:
    assert text in decode(body, content_type)


def test_a_gzip_bomb_in_a_file_is_cut() -> None:
    assert len(decode(gzip.compress(b"a" * 3 * MAX_BYTES))) == MAX_BYTES


@given(st.binary(max_size=200), st.none() | st.text(max_size=30))
def test_any_bytes_have_a_text(body: bytes, content_type: str | None) -> None:
    decode(body, content_type).encode(errors="strict" if b"\xff" not in body else "replace")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Mon, 01 Jan 2024 12:00:00 GMT", "2024-01-01T12:00:00Z"),
        ("1 Jan 2024 12:00 +0200", "2024-01-01T10:00:00Z"),
        ("Mon, 1 Jan 24 12:00:00 EST", "2024-01-01T17:00:00Z"),
        ("Wed, 15 May 2024 10:00:00 MSK", "2024-05-15T07:00:00Z"),
        ("Wed, 15 May 2024 10:00:00 CEST", "2024-05-15T08:00:00Z"),
        ("Wed, 15 May 2024 10:00:00 IST", "2024-05-15T04:30:00Z"),
        ("Mon, 01 Jan 2024 12:00:00 GMT+03:00", "2024-01-01T09:00:00Z"),
        ("Mon, 01 Jan 2024 12:00:00 +0000 (UTC)", "2024-01-01T12:00:00Z"),
        ("Fri, 31 Dec 1999 23:59:60 GMT", "2000-01-01T00:00:00Z"),
        ("Fri, 5 Apr 2024 24:00:00 GMT", "2024-04-06T00:00:00Z"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.250+01:00", "2024-01-02T02:04:05.250Z"),
        ("2024-01-02 03:04:05 +0100", "2024-01-02T02:04:05Z"),
        ("2024-01-02T03:04:05", "2024-01-02T03:04:05Z"),
        ("2024-01-02", "2024-01-02T00:00:00Z"),
        ("2020/1/11", "2020-01-11T00:00:00Z"),
        ("20240102T030405Z", "2024-01-02T03:04:05Z"),
        ("1420232746", "2015-01-02T21:05:46Z"),
        ("1420232746000", "2015-01-02T21:05:46Z"),
        ("Sat Jun 15 20:10:32 +0000 2013", "2013-06-15T20:10:32Z"),
        ("January 2, 2006, 3:04 PM", "2006-01-02T15:04:00Z"),
        ("07.02.2025 18:30", "2025-02-07T18:30:00Z"),
        ("25/12/2024 10:00", "2024-12-25T10:00:00Z"),
        ("12/25/2024 10:00", "2024-12-25T10:00:00Z"),
        ("Wt, 2 sty 2024 10:00:00 +0100", "2024-01-02T09:00:00Z"),
        ("12 января 2024 г. 10:30", "2024-01-12T10:30:00Z"),
        ("3. März 2024 um 08:00", "2024-03-03T08:00:00Z"),
        ("1 Ocak 2024 10:00", "2024-01-01T10:00:00Z"),
        ("15 de septiembre de 2024", "2024-09-15T00:00:00Z"),
        ("mer, 16 nov 2022 00:38:15 +0100", "2022-11-15T23:38:15Z"),
        ("2024年1月5日 10:00", "2024-01-05T10:00:00Z"),
    ],
)
def test_dates_as_feeds_write_them(written: str, meant: str) -> None:
    assert to_iso(parse_date(written)) == meant


@pytest.mark.parametrize(
    "written",
    ["", None, "0000-00-00", "0000-00-00T00:00:00Z", "yesterday", "2 hours ago", "2024-13-45", "Sun, 06 Nov 1994 08:49:37 GMT",
     "2024-01-01T25:61:00Z", "01/02/2024", "never", "12", "2024-W05-1", "1 Foo 2024", "9" * 400],
)  # fmt: skip
def test_what_is_no_date_stays_unknown(written: str | None) -> None:
    assert parse_date(written) is None


@given(st.datetimes(datetime(1996, 1, 1), datetime(2100, 1, 1)))
def test_every_rfc_3339_date_comes_back(moment: datetime) -> None:
    written = moment.isoformat(timespec="milliseconds") + "Z"
    assert to_iso(parse_date(written)) == (written.replace(".000Z", "Z"))


@given(st.text(max_size=60) | st.from_regex(r"[\d:.,/ TZ+-]{1,40}", fullmatch=True))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = parse_date(text)
    assert found is None or found > 0


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a &amp; b &#8211; c&nbsp;d", "a & b – c d"),
        ("<p>One\n two</p><p>three<br>four</p>", "One two\nthree\nfour"),
        ("bo<b>ld</b> <script>alert('<p>')</script><style>p{}</style><!-- no -->end", "bold end"),
        ("<ul><li>1<li>2</ul>", "1\n2"),
        ("x < y and y > z", "x < y and y > z"),
        ("&lt;p&gt; is a tag", "<p> is a tag"),
        ("<![CDATA[<i>twice</i> wrapped]]>", "twice wrapped"),
        ("<p>unclosed <b>tags <i>are", "unclosed tags are"),
        ("<td>a</td><td>b</td>", "a\nb"),
        ("<svg><title>icon</title></svg><noscript>shown</noscript>", "shown"),
        ("<p\x00>nul\x00 \x07bell</p>", "nul bell"),
        ("", ""),
    ],
)
def test_html_becomes_what_a_reader_sees(markup: str, text: str) -> None:
    assert from_html(markup) == text


def test_plain_text_stays_what_it_is() -> None:
    assert from_either("if (a<b && c>d) List<String>") == "if (a<b && c>d) List<String>"
    assert plain("  a \t b\r\n\r\n\n c\u200b ") == "a b\nc"


@given(st.text(max_size=200) | st.text("<>/&;!-[]abp \n#x1", max_size=200))
def test_any_markup_has_a_bounded_folded_text(markup: str) -> None:
    for text in (from_html(markup), from_either(markup), plain(markup)):
        assert text == "\n".join(" ".join(line.split()) for line in text.splitlines() if line.split())


@pytest.mark.parametrize(
    "piece", ["<div>", "<!--", "<a b", "<b>x", "&", "&#", "<", "</p>", "<![CDATA[", '<a href="', "]]>"]
)
def test_hostile_markup_is_read_in_linear_time(piece: str) -> None:
    start = time.process_time()
    assert len(from_html(piece * (4 * 2**20 // len(piece)))) <= MAX_TEXT
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("\n\n junk <?xml version='1.0'?><a/>", "<a/>"),
        ("<a>R&D &nbsp;&eacute; &bogus; &amp; &#65; &#0;</a>", "<a>R&amp;D \xa0é &amp;bogus; &amp; &#65; </a>"),
        ("<a><![CDATA[R&D &nbsp;]]></a>", "<a><![CDATA[R&D &nbsp;]]></a>"),
        ("<a>\x00\x0b\ufffe</a>", "<a></a>"),
        ('<!DOCTYPE a [<!ENTITY own "x">]><a>&own;</a>', '<!DOCTYPE a [<!ENTITY own "x">]><a>&own;</a>'),
        ("<a>&LT;b&GT;</a>", "<a>&#60;b&#62;</a>"),
    ],
)
def test_broken_xml_is_mended(broken: str, mended: str) -> None:
    assert repair(broken) == mended


@pytest.mark.parametrize("piece", ["<!--", "<![CDATA[", "&", "&#", "<?xml ", "<"])
def test_mending_takes_linear_time(piece: str) -> None:
    start = time.process_time()
    repair("<a>" + piece * 500_000)
    assert time.process_time() - start < 5
