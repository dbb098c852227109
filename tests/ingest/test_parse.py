"""Documents are parsed in children that can be killed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from ingest.documents.charset import MAX_BYTES
from ingest.parse import Parser, Reply, Unreadable

FEED = b"<rss version='2.0'><channel><item><title>T</title><link>/1</link></item></channel></rss>"
HOSTILE = {
    "comments": b"<!--" * 100_000,
    "comments in a field": b"<rss version='2.0'><channel><item><description>" + b"&lt;!--" * 100_000,
    "attributes": b"<a " + b'b="c" ' * 70_000 + b">",
    "nested markup": b"<rss version='2.0'><channel><item><description>" + b"&lt;div&gt;" * 100_000,
    "nested items": b"<item>" * 100_000,
    "nested JSON": b'{"items":' * 200_000,
    "nested page": b"<html>" + b"<div itemscope itemprop=review>" * 100_000,
    "many items": b"<rss><channel>" + b"<item><title>x</title></item>" * 100_000,
    "ampersands": b"<rss><channel><item><title>" + b"&" * 500_000,
}


def pid(parser: Parser) -> int:
    return parser._idle[0].pid


@pytest_asyncio.fixture
async def parser() -> AsyncIterator[Parser]:
    parser = Parser(seconds=15.0)
    yield parser
    await parser.close()


async def parses(parser: Parser) -> bool:
    reply = await parser.parse("feed", FEED, None, "https://a.example/feed")
    assert isinstance(reply, Reply), reply
    assert reply.parsed is not None
    (item,) = reply.parsed.items
    return (item.title, item.url) == ("T", "https://a.example/1")


@pytest.mark.asyncio
async def test_one_child_serves_many_documents_and_ends_with_the_parser() -> None:
    parser = Parser()
    assert await parses(parser)
    child = psutil.Process(pid(parser))
    assert child.memory_info().rss < 100 * 2**20
    assert await parses(parser)
    assert pid(parser) == child.pid
    await parser.close()
    assert not child.is_running()


@pytest.mark.asyncio
async def test_the_kind_is_found_and_refusals_are_sentences(parser: Parser) -> None:
    reply = await parser.parse(None, FEED, None, "")
    assert isinstance(reply, Reply)
    assert reply.kind == "feed"
    assert await parser.parse("feed", b"hello", None, "") == Unreadable(
        "unparsable", "This is no feed: no RSS, Atom or JSON Feed was found in it."
    )
    assert (await parser.parse("feed", b"x" * (MAX_BYTES + 1), None, "")).reason == "too-large"  # type: ignore[union-attr]


@pytest.mark.asyncio
async def test_what_no_database_takes_is_cleaned(parser: Parser) -> None:
    reply = await parser.parse(
        "feed", b'{"items": [{"id": "a\\u0000b\\ud800", "title": "t\\ud800", "tags": ["\\udfff"]}]}', None, ""
    )
    assert isinstance(reply, Reply)
    assert reply.parsed is not None
    assert reply.parsed.items[0].id == "ab?"
    assert reply.parsed.items[0].extra == {"categories": ["?"]}


@pytest.mark.asyncio
async def test_documents_share_the_children(parser: Parser) -> None:
    assert all(await asyncio.gather(*(parses(parser) for _ in range(5))))


@pytest.mark.asyncio
async def test_hostile_documents_end_in_time_and_the_next_one_is_read() -> None:
    parser = Parser(seconds=1.0)
    for name, document in HOSTILE.items():
        async with asyncio.timeout(30):
            reply = await parser.parse(None, document, None, "")
        assert isinstance(reply, Reply) or reply.reason in ("unparsable", "parse-timeout"), name
    assert await parses(parser)
    await parser.close()


@pytest.mark.asyncio
async def test_a_child_that_takes_too_long_is_killed() -> None:
    parser = Parser(seconds=0.5)
    assert await parses(parser)
    child = psutil.Process(pid(parser))
    reply = await parser.parse("feed", HOSTILE["nested items"], None, "")
    assert isinstance(reply, Unreadable)
    assert reply.reason == "parse-timeout"
    assert not child.is_running()
    await parser.close()


@pytest.mark.asyncio
async def test_a_child_without_memory_is_replaced() -> None:
    parser = Parser(megabytes=160)
    reply = await parser.parse("feed", b'{"items": [' + b"{}," * 2_000_000 + b"{}]}", None, "")
    assert isinstance(reply, Unreadable)
    assert reply.reason == "parse-crashed"
    assert await parses(parser)
    await parser.close()


@pytest.mark.asyncio
async def test_a_child_that_died_meanwhile_is_replaced(parser: Parser) -> None:
    assert await parses(parser)
    os.kill(pid(parser), signal.SIGKILL)
    await parser._idle[0].wait()
    assert await parses(parser)


@pytest.mark.asyncio
async def test_a_parse_that_is_given_up_leaves_no_child_behind(parser: Parser) -> None:
    assert await parses(parser)
    child = parser._idle[0]
    task = asyncio.create_task(parser.parse("feed", HOSTILE["nested items"], None, ""))
    while parser._idle:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await child.wait() == -signal.SIGKILL
    assert await parses(parser)
