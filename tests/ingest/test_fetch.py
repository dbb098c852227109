"""Requests to real servers that behave well, badly, slowly and with malice."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ingest.answer import Answer, Failure
from ingest.fetch import PER_HOST, Fetcher, user_agent
from tests.support.certificates import Certificates
from tests.support.http import Asked, Server, babble, bomb, drip, flood, hang_up, head, http_server

FEED = b"<rss version='2.0'><channel/></rss>"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with http_server() as running:
        yield running


@pytest_asyncio.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher("ops@example.org", seconds=1.0, limit=2**20)
    yield fetcher
    await fetcher.close()


async def document(fetcher: Fetcher, url: str, **more: str | bool) -> Answer:
    answer = await fetcher.fetch(url, private=True, **more)  # type: ignore[arg-type]
    assert isinstance(answer, Answer), answer
    return answer


async def failure(fetcher: Fetcher, url: str, *, private: bool = True, obey_robots: bool = False) -> Failure:
    answer = await fetcher.fetch(url, private=private, obey_robots=obey_robots)
    assert isinstance(answer, Failure), answer
    assert answer.sentence.endswith(".")
    assert "\n" not in answer.sentence
    return answer


@pytest.mark.asyncio
async def test_a_document_and_what_its_server_says(server: Server, fetcher: Fetcher) -> None:
    server.on(
        "/a",
        FEED,
        ETag='W/"1"',
        Last_Modified="yesterday-ish",
        Cache_Control="max-age=600",
        Content_Type="text/xml; charset=x",
    )
    answer = await document(fetcher, server.url("/a"))
    assert (answer.status, answer.body, answer.url, answer.moved) == (200, FEED, server.url("/a"), None)
    assert answer.content_type == "text/xml; charset=x"
    assert (answer.caching.etag, answer.caching.last_modified) == ('W/"1"', "yesterday-ish")
    assert answer.caching.cache_control == "max-age=600"


@pytest.mark.asyncio
async def test_validators_go_back_as_they_came_and_304_is_an_answer(server: Server, fetcher: Fetcher) -> None:
    server.on("/a", status=304, ETag='W/"2"')
    answer = await document(fetcher, server.url("/a"), etag='W/"1"', last_modified="yesterday-ish")
    assert answer.unchanged
    assert answer.caching.etag == 'W/"2"'
    sent = server.asked[0].headers
    assert (sent["if-none-match"], sent["if-modified-since"]) == ('w/"1"', "yesterday-ish")


@pytest.mark.asyncio
async def test_a_request_says_who_asks_and_nothing_else(server: Server, fetcher: Fetcher) -> None:
    server.on("/a", FEED, Set_Cookie="id=1; Path=/")
    await document(fetcher, server.url("/a"))
    await document(fetcher, server.url("/a"))
    for asked in server.asked:
        assert asked.headers["user-agent"] == user_agent("ops@example.org").lower()
        assert asked.headers["accept-encoding"] == "gzip"
        assert asked.headers["host"] == f"127.0.0.1:{server.port}"
        assert not {"cookie", "referer", "if-none-match", "authorization"} & asked.headers.keys()


@pytest.mark.asyncio
async def test_the_environments_proxy_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    server.on("/a", FEED)
    fetcher = Fetcher()
    await document(fetcher, server.url("/a"))
    await fetcher.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body", [gzip.compress(FEED), gzip.compress(FEED[:9]) + gzip.compress(FEED[9:]), gzip.compress(FEED) + b"padding"]
)
async def test_gzip_is_read(server: Server, fetcher: Fetcher, body: bytes) -> None:
    server.on("/a", body, Content_Encoding="gzip")
    assert (await document(fetcher, server.url("/a"))).body == FEED


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (bomb(64), "gzip", "too-large"),
        (gzip.compress(bomb(64)), "gzip, gzip", "bad-encoding"),
        (b"anything", "br", "bad-encoding"),
        (FEED, "gzip", "bad-encoding"),
        (gzip.compress(FEED)[:-9], "gzip", "bad-encoding"),
        (b"x" * (2**20 + 1), "identity", "too-large"),
    ],
)
async def test_bombs_and_unasked_encodings_are_refused(
    server: Server, fetcher: Fetcher, body: bytes, encoding: str, reason: str
) -> None:
    server.on("/a", body, Content_Encoding=encoding)
    assert (await failure(fetcher, server.url("/a"))).reason == reason


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("handler", "reason"),
    [(drip, "timeout"), (flood, "too-large"), (hang_up, "broken-answer"), (babble, "broken-answer")],
)
async def test_servers_that_misbehave(server: Server, fetcher: Fetcher, handler: object, reason: str) -> None:
    server.on_raw("/a", handler)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        assert (await failure(fetcher, server.url("/a"))).reason == reason


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (404, {}, "status-4xx"),
        (410, {}, "status-4xx"),
        (500, {}, "status-5xx"),
        (503, {}, "status-5xx"),
        (503, {"Retry_After": "120"}, "rate-limited"),
        (429, {"Retry_After": "Wed, 15 May 2024 10:00:00 GMT"}, "rate-limited"),
        (204, {}, "broken-answer"),
        (301, {}, "broken-answer"),
    ],
)
async def test_statuses(server: Server, fetcher: Fetcher, status: int, headers: dict[str, str], reason: str) -> None:
    server.on("/a", b"no", status, **headers)
    refused = await failure(fetcher, server.url("/a"))
    assert (refused.reason, refused.status) == (reason, status)
    assert refused.caching.retry_after == headers.get("Retry_After")


@pytest.mark.asyncio
async def test_expires_zero_drops_the_validators(server: Server, fetcher: Fetcher) -> None:
    server.on("/a", FEED, ETag='"1"', Expires="0")
    assert not (await document(fetcher, server.url("/a"))).caching.validators


@pytest.mark.asyncio
@pytest.mark.parametrize(("first", "moved"), [(301, True), (308, True), (302, False), (307, False)])
async def test_redirects_are_followed_and_permanent_ones_are_told(
    server: Server, fetcher: Fetcher, first: int, moved: bool
) -> None:
    server.on("/a", status=first, Location="b?x=1")
    server.on("/b?x=1", status=301, Location=server.url("/c"))
    server.on("/c", FEED)
    answer = await document(fetcher, server.url("/a"))
    assert answer.url == server.url("/c")
    assert answer.moved == (server.url("/c") if moved else None)


@pytest.mark.asyncio
async def test_redirects_end(server: Server, fetcher: Fetcher) -> None:
    server.on("/a", status=302, Location="/a")
    assert (await failure(fetcher, server.url("/a"))).reason == "bad-redirect"
    assert len(server.asked) == 6


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/", "forbidden-address"),
        ("http://[::ffff:169.254.169.254]/", "forbidden-address"),
        ("http://0.0.0.0:1/", "forbidden-address"),
        ("http://2852039166/", "forbidden-address"),  # 169.254.169.254 as one number
        ("file:///etc/passwd", "bad-url"),
        ("gopher://127.0.0.1/", "bad-url"),
        ("http://[", "bad-redirect"),
        ("http://", "bad-redirect"),  # the same address again
    ],
)
async def test_redirects_to_where_nobody_should_go(
    server: Server, fetcher: Fetcher, location: str, reason: str
) -> None:
    server.on("/a", status=302, Location=location)
    assert (await failure(fetcher, server.url("/a"))).reason == reason


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_private_networks_are_not_fetched_under_any_name(server: Server, fetcher: Fetcher, host: str) -> None:
    refused = await failure(fetcher, server.url("/a", host), private=False)
    assert refused.reason == "forbidden-address"
    assert "private: true" in refused.sentence
    assert server.asked == []


@pytest.mark.asyncio
async def test_names_that_do_not_exist_and_ports_that_are_closed(server: Server, fetcher: Fetcher) -> None:
    assert (await failure(fetcher, "http://nothing.invalid/")).reason == "dns"
    assert (await failure(fetcher, "http://127.0.0.1:1/")).reason == "refused"
    for nonsense in (
        "",
        "news.example/feed",
        "http://",
        "http://exa mple/",
        "ftp://a.example/",
        "http://a.example:99999/",
    ):
        assert (await failure(fetcher, nonsense)).reason == "bad-url"


@pytest.mark.asyncio
async def test_a_secret_address_is_not_in_the_sentence(server: Server, fetcher: Fetcher) -> None:
    assert "hush" not in (await failure(fetcher, server.url("/alerts/hush?key=hush"))).sentence


@pytest.mark.asyncio
async def test_tls_asks_for_the_name_and_checks_it(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, _: names.append(name)
    async with http_server(context) as server:
        server.on("/a", FEED)
        knowing, strange = Fetcher(ca=str(made.authority)), Fetcher()
        answer = await document(knowing, server.url("/a", "localhost"))
        assert answer.body == FEED
        assert names == ["localhost"]
        assert server.asked[0].headers["host"] == f"localhost:{server.port}"
        assert (await failure(knowing, server.url("/a"))).reason == "tls"  # the certificate is not for the address
        assert (await failure(strange, server.url("/a", "localhost"))).reason == "tls"
        await knowing.close()
        await strange.close()


@pytest.mark.asyncio
async def test_one_host_gets_few_requests_at_a_time(server: Server) -> None:
    waiting = asyncio.Event()

    async def slow(_: Asked, writer: asyncio.StreamWriter) -> None:
        if server.together >= PER_HOST:
            waiting.set()
        await waiting.wait()
        writer.write(head(200, {"Content-Length": "0"}))

    server.on_raw("/a", slow)
    fetcher = Fetcher()
    await asyncio.gather(*(fetcher.fetch(server.url("/a"), private=True) for _ in range(8)))
    await fetcher.close()
    assert len(server.asked) == 8
    assert server.most_together == PER_HOST


@pytest.mark.asyncio
async def test_robots_txt_decides_where_it_is_obeyed(server: Server, fetcher: Fetcher) -> None:
    server.on("/robots.txt", b"User-agent: *\nDisallow: /private\n\nUser-agent: Tocsin\nDisallow: /not-you\n")
    for path in ("/private", "/not-you", "/open"):
        server.on(path, FEED)
    assert (await failure(fetcher, server.url("/not-you"), obey_robots=True)).reason == "robots"
    await document(fetcher, server.url("/private"), obey_robots=True)
    await document(fetcher, server.url("/open"), obey_robots=True)
    await document(fetcher, server.url("/not-you"))
    assert [asked.path for asked in server.asked].count("/robots.txt") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "reason"), [(404, None), (403, None), (500, "status-5xx")])
async def test_a_missing_robots_txt_allows_and_a_failing_one_does_not(
    server: Server, fetcher: Fetcher, status: int, reason: str | None
) -> None:
    server.on("/robots.txt", status=status)
    server.on("/open", FEED)
    answer = await fetcher.fetch(server.url("/open"), private=True, obey_robots=True)
    assert (answer.reason if isinstance(answer, Failure) else None) == reason
