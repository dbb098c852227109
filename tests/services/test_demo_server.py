import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import httpx
import pytest

from ingest.identity import canonical_url
from ingest.sources import KINDS
from services.demo.feeds import FEEDS, FRESH, SHOWN, Feed
from services.demo.receivers import Inbox, slack_fault
from services.demo.server import Site, address, listen, serve_http, serve_smtp
from services.demo.world import BEGINS, DAY, World, build

NOW = BEGINS + 2 * DAY


@pytest.fixture(scope="module")
def world() -> World:
    return build(1)


class Served:
    def __init__(self, world: World) -> None:
        self.now = NOW
        self.inbox = Inbox(lambda: self.now)
        self.socket = listen()
        self.base = "http://{}:{}".format(*address(self.socket))
        self.site = Site(world, self.inbox, lambda: self.now, self.base)


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    served = Served(world)
    async with (
        serve_http(served.site.app, served.socket),
        httpx.AsyncClient(base_url=served.base, trust_env=False) as client,
    ):
        yield served, client


@pytest.mark.asyncio
@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
async def test_what_is_rendered_reads_as_exactly_what_was_posted(world: World, feed: Feed) -> None:
    async with serving(world) as (served, client):
        answer = await client.get(feed.path)
    assert answer.status_code == 200
    parsed = KINDS[feed.kind].parse(answer.content, answer.headers["content-type"], served.base + feed.path)
    listed = world.newest(feed.name, NOW, SHOWN)
    assert len(listed) == SHOWN
    read = [(i.url, i.title, i.text, i.published, i.stars) for i in parsed.items]
    assert read == [
        (served.base + p.path, p.text.title, p.text.text, at, p.text.stars and float(p.text.stars)) for at, p in listed
    ]
    assert len({canonical_url(item.url or "") for item in parsed.items}) == len(listed)
    if feed.kind not in ("google_alerts", "app_store"):
        assert [item.language for item in parsed.items] == [p.text.language for _, p in listed]


@pytest.mark.asyncio
async def test_what_has_not_changed_is_answered_304(world: World) -> None:
    async with serving(world) as (served, client):
        first = await client.get("/agora/feed.xml")
        again = await client.get("/agora/feed.xml", headers={"If-None-Match": first.headers["etag"]})
        served.now += 3_600
        later = await client.get("/agora/feed.xml", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, later.status_code) == (200, 304, 200)
    assert again.content == b""
    assert again.headers["cache-control"] == first.headers["cache-control"] == f"public, max-age={FRESH}"
    assert later.headers["etag"] != first.headers["etag"]


@pytest.mark.asyncio
async def test_posts_are_pages_once_they_are_published(world: World) -> None:
    post = next(p for p in world.posts if p.site == "gazette" and p.at > NOW)
    async with serving(world) as (served, client):
        before = await client.get(post.path)
        served.now = post.at
        after = await client.get(post.path)
    assert (before.status_code, after.status_code) == (404, 200)
    assert f'lang="{post.text.language}"' in after.text


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"text": "hello"}, None),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x"}}]}, None),
        (["text"], "invalid_payload"),
        (None, "invalid_payload"),
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
    ],
)
def test_the_webhook_is_as_strict_as_slack(payload: Any, answer: str | None) -> None:
    assert slack_fault(payload) == answer


@pytest.mark.asyncio
async def test_received_messages_are_kept(world: World) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "tocsin@demo.example", "on-call@demo.example", "Zażółć"
    mail.set_content("gęślą jaźń")
    async with serving(world) as (served, client):
        ok = await client.post("/slack", json={"text": "hi"})
        refused = await client.post("/slack", content=b"{")
        robot = await client.post("/webhook", json={"brand": "Kometa"})
        smtp = listen()
        host, port = address(smtp)
        async with serve_smtp(served.inbox, smtp):
            await aiosmtplib.send(mail, hostname=host, port=port, start_tls=False)
    assert (ok.status_code, ok.text, refused.status_code, robot.status_code) == (200, "ok", 400, 202)
    assert served.inbox.counts == {"slack": 1, "email": 1, "webhook": 1}
    assert served.inbox.slack[0].content == {"text": "hi"}
    assert served.inbox.email[0].content["Subject"] == "Zażółć"
    assert "jaźń" in served.inbox.email[0].content.get_content()
    assert json.dumps(served.inbox.webhook[0].content) == '{"brand": "Kometa"}'


def test_a_port_that_is_taken_is_passed_over() -> None:
    first = listen()
    port = address(first)[1]
    second = listen([port])
    try:
        assert address(second)[1] != port
    finally:
        first.close()
        second.close()
