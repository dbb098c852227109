"""The pager with real channels and databases, on a clock that stands until it is told to go on."""

import asyncio
import json
import multiprocessing
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import Connection, func, make_url, select

from alerting import incident_store, outbox
from alerting import tables as t
from alerting.acknowledgement import acknowledge
from alerting.channel import Channel
from alerting.channels import make
from alerting.channels.slack import Config as SlackConfig
from alerting.channels.webhook import Config as WebhookConfig
from alerting.incident import Closed, Incident, apply
from alerting.outbox import LEASE_SECONDS
from alerting.policy import Step
from services.metrics import Metrics
from services.pager import Pager, page
from services.runtime.database import Database
from services.runtime.lifecycle import Lifecycle
from tests.support.clock import ManualClock
from tests.support.databases import administer
from tests.support.http_peer import DRIP, DROP, HOLD, HttpPeer, answer, http_peer
from tests.support.killed_pager import page_once
from tests.support.pages import AT, opening

OK = answer("200 OK", b"ok")
BROKEN, GONE = answer("500 Oops"), answer("404 Not Found", b"no_service")
SLACK, HOOK, LATER = Step("slack"), Step("hook"), Step("hook", "boss", 600.0)


def open_one(connection: Connection, steps: Sequence[Step], brand: str = "Kometa") -> Incident:
    incident, event = opening(brand)
    incident_store.append(connection, incident, event, AT)
    return outbox.enqueue_due(connection, incident, steps, AT)[0]


def close_one(connection: Connection, incident: str, steps: Sequence[Step], now: float) -> None:
    current = incident_store.load_incident(connection, incident, lock=True)
    assert current is not None
    event = Closed(at=now, reason="It is over.")
    changed = apply(current, event)
    incident_store.append(connection, changed, event, now)
    outbox.enqueue_due(connection, changed, steps, now)


class World:
    """A pager with its database, its two channels and its clock."""

    def __init__(self, database: Database, slack: HttpPeer, hook: HttpPeer, steps: Sequence[Step]) -> None:
        self.database, self.slack, self.hook, self.steps = database, slack, hook, steps
        self.clock, self.metrics, self.lifecycle = ManualClock(AT), Metrics(), Lifecycle("pager")
        self.channels: dict[str, Channel] = {
            "slack": make(SlackConfig(url=slack.url)),
            "hook": make(WebhookConfig(url=hook.url)),
        }
        self.pager = self.another()

    def another(self, send_seconds: float = 5.0) -> Pager:
        return Pager(
            self.database,
            self.channels,
            self.steps,
            self.clock,
            self.metrics,
            self.lifecycle,
            send_seconds=send_seconds,
        )

    def open(self, brand: str = "Kometa") -> Incident:
        return self.database.run_here(open_one, self.steps, brand)

    async def at(self, seconds: float) -> float | None:
        """Everything that is due then, until nothing more is; returns when the next thing is due, from the opening."""
        await self.clock.move_to(AT + seconds)
        due = await self.pager.step(self.clock.now())
        while (
            (due is not None and due <= self.clock.now())
            or self.pager.finished.is_set()
            or self.lifecycle.in_hand("page")
        ):
            await self.pager.sent()
            self.pager.finished.clear()
            due = await self.pager.step(self.clock.now())
        return None if due is None else due - AT

    def outbox(self) -> dict[str, str]:
        """`step-kind` -> state."""
        rows = self.database.run_here(lambda c: list(c.execute(select(t.outbox.c.key, t.outbox.c.state))))
        return {key.partition("-")[2]: state for key, state in rows}

    def events(self) -> list[str]:
        """What the incident's history says."""
        read = select(t.incident_event.c.kind, t.incident_event.c.body).order_by(t.incident_event.c.number)
        rows = self.database.run_here(lambda c: list(c.execute(read)))
        return [f"{b['step']} {b['outcome']} {b['reason']}".strip() if kind == "sent" else kind for kind, b in rows]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


async def until(reached: Callable[[], bool]) -> None:
    """Look again and again, for at most 20 s; for what happens in real time and tells nobody."""
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def world(
    database: Database, *steps: Step, slack: Sequence[bytes] = (OK,), hook: Sequence[bytes] = (OK,)
) -> AsyncIterator[World]:
    async with http_peer(slack) as slack_peer, http_peer(hook) as hook_peer:
        w = World(database, slack_peer, hook_peer, steps)
        try:
            yield w
        finally:
            for channel in w.channels.values():
                await channel.close()


def keys(peer: HttpPeer) -> list[str]:
    return [request.headers["idempotency-key"].partition("-")[2] for request in peer.requests]


@pytest.mark.asyncio
async def test_a_page_goes_out_and_is_written_down(database: Database) -> None:
    async with world(database, SLACK) as w:
        w.open()
        await w.at(3)
        assert len(w.slack.requests) == 1
        assert "Kometa: 41 negative mentions" in json.loads(w.slack.requests[0].body)["text"]
        assert w.outbox() == {"0-page": "delivered"}
        assert w.events() == ["opened", "0 delivered"]
        assert w.metric("tocsin_notifications_total", channel="slack", outcome="delivered") == 1
        assert w.metric("tocsin_delivery_delay_seconds_sum") == 3
        assert w.metric("tocsin_oldest_undelivered_timestamp_seconds") == 0
        assert w.metric("tocsin_incidents_open") == 1
        assert w.lifecycle.idle


@pytest.mark.asyncio
async def test_nobody_acknowledges_and_then_somebody_does(database: Database) -> None:
    async with world(database, SLACK, LATER, Step("slack", None, 1200.0)) as w:
        incident = w.open()
        assert await w.at(0) == 600
        assert await w.at(599) == 600
        assert not w.hook.requests
        assert await w.at(600) == 1200
        assert keys(w.hook) == ["1-page"]
        assert json.loads(w.hook.requests[0].body)["to"] == "boss"
        database.run_here(acknowledge, incident.id, "Anna", AT + 700)
        assert await w.at(90_000) is None
        assert (len(w.slack.requests), len(w.hook.requests)) == (1, 1)
        assert w.events() == ["opened", "0 delivered", "1 escalated not_acknowledged", "1 delivered", "acknowledged"]


@pytest.mark.asyncio
async def test_a_refusal_brings_the_next_channel_at_once(database: Database) -> None:
    async with world(database, SLACK, LATER, slack=[GONE]) as w:
        w.open()
        await w.at(0)
        assert w.outbox() == {"0-page": "refused", "1-page": "delivered"}
        assert w.events() == ["opened", "0 refused http_404", "1 escalated earlier_step_refused", "1 delivered"]


@pytest.mark.asyncio
async def test_a_channel_that_is_not_configured_any_more_is_a_refusal(database: Database) -> None:
    async with world(database, Step("pigeon"), LATER) as w:
        w.open()
        await w.at(0)
        assert w.outbox() == {"0-page": "refused", "1-page": "delivered"}
        assert w.metric("tocsin_notifications_total", channel="unknown", outcome="refused") == 1


@pytest.mark.asyncio
async def test_failures_are_tried_again_with_the_same_key(database: Database) -> None:
    script = [BROKEN, DROP, answer("429 Slow down", b"", "Retry-After: 100"), OK]
    async with world(database, HOOK, hook=script) as w:
        w.open()
        due: float | None = await w.at(0)
        waits = []
        while due is not None and due < 1800:
            waits.append(due - (w.clock.now() - AT))
            due = await w.at(due)
        assert keys(w.hook) == ["0-page"] * 4
        assert len({request.body for request in w.hook.requests}) == 1
        assert waits[2] == 100
        assert all(2.5 <= wait <= 20 for wait in waits[:2])
        assert w.metric("tocsin_notifications_total", channel="hook", outcome="try_again") == 3


@pytest.mark.asyncio
async def test_a_slow_channel_holds_up_nobody(database: Database) -> None:
    async with world(database, SLACK, HOOK, slack=[DRIP]) as w:
        w.open()
        w.open("Velmar")
        await w.pager.step(AT)
        await w.hook.wait_for(2)
        await w.slack.wait_for(2)
        assert w.lifecycle.in_hand("page") >= 2, "Slack is still in hand"
        w.pager.drop()
        await w.pager.sent()


@pytest.mark.asyncio
async def test_a_deadline_ends_every_attempt(database: Database) -> None:
    async with world(database, SLACK, slack=[DRIP]) as w:
        w.open()
        w.pager = w.another(send_seconds=0.2)
        due = await w.at(0)
        assert due is not None
        assert 2.5 <= due <= 5
        assert w.outbox() == {"0-page": "waiting"}
        assert w.metric("tocsin_oldest_undelivered_timestamp_seconds") == AT


@pytest.mark.asyncio
async def test_the_end_is_told_where_a_page_had_arrived(database: Database) -> None:
    async with world(database, SLACK, HOOK, hook=[GONE]) as w:
        incident = w.open()
        await w.at(0)
        database.run_here(close_one, incident.id, w.steps, AT + 60)
        assert await w.at(60) is None
        assert w.outbox() == {"0-page": "delivered", "1-page": "refused", "0-close": "delivered"}
        assert "it is over" in json.loads(w.slack.requests[1].body)["text"]
        assert w.metric("tocsin_incidents_open") == 0


@pytest.mark.asyncio
async def test_a_page_that_arrives_while_the_incident_closes_is_followed_by_its_end(database: Database) -> None:
    async with world(database, SLACK, HOOK, slack=[HOLD, OK]) as w:
        incident = w.open()
        await w.pager.step(AT)
        await w.slack.wait_for(1)
        database.run_here(close_one, incident.id, w.steps, AT)
        assert w.outbox()["0-page"] == "waiting", "it is being sent"
        w.slack.release.set()
        await w.at(60)
        assert {key: state for key, state in w.outbox().items() if key.startswith("0")} == {
            "0-page": "delivered",
            "0-close": "delivered",
        }


@pytest.mark.asyncio
async def test_two_pagers_send_everything_once(database: Database, database_url: str) -> None:
    async with world(database, HOOK) as w:
        brands = [f"Brand {n}" for n in range(20)]
        for brand in brands:
            w.open(brand)
        other_database = Database(database_url)
        try:
            other = Pager(other_database, w.channels, w.steps, w.clock, w.metrics, w.lifecycle, name="other")
            waiting = select(func.count()).where(t.outbox.c.state == "waiting")
            while database.run_here(lambda connection: connection.execute(waiting).scalar()):
                await asyncio.gather(w.pager.step(AT), other.step(AT))
                await asyncio.gather(w.pager.sent(), other.sent())
        finally:
            other_database.close()
        sent = Counter(request.headers["idempotency-key"] for request in w.hook.requests)
        assert len(sent) == len(brands)
        assert set(sent.values()) == {1}


@pytest.mark.asyncio
async def test_the_loop_wakes_when_poked_and_at_the_time_of_a_step(database: Database) -> None:
    async with world(database, SLACK, LATER) as w:
        poke = asyncio.Event()
        loop = asyncio.create_task(page(w.pager, w.clock, w.lifecycle, poke))
        await w.lifecycle.started.wait()
        await database.run(open_one, w.steps)
        poke.set()
        await asyncio.wait_for(w.slack.wait_for(1), 10)
        await w.clock.move_to(AT + 600)
        await asyncio.wait_for(w.hook.wait_for(1), 10)
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


@pytest.mark.asyncio
async def test_the_loop_sees_what_another_process_wrote(database: Database) -> None:
    async with world(database, SLACK) as w:
        loop = asyncio.create_task(page(w.pager, w.clock, w.lifecycle, asyncio.Event()))
        await w.lifecycle.started.wait()
        await database.run(open_one, w.steps)
        await asyncio.wait_for(w.slack.wait_for(1), 10)
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


@pytest.mark.asyncio
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_goes_away_and_comes_back(database: Database, database_url: str, postgres: str) -> None:
    name = make_url(database_url).database
    async with world(database, HOOK) as w:
        w.open()
        loop = asyncio.create_task(page(w.pager, w.clock, w.lifecycle, asyncio.Event()))
        administer(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        administer(postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await until(lambda: (w.metric("tocsin_database_failures_total", stage="pager") or 0) > 0)
        assert not loop.done()
        administer(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await w.clock.move_to(AT + LEASE_SECONDS)
        await until(lambda: w.outbox() == {"0-page": "delivered"})
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
        assert len(set(keys(w.hook))) == 1


UNSENT = ["before look", "inside decide", "after decide", "inside claim", "after claim"]
SENT = ["before send", "after send", "inside settle", "after settle"]
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.support.killed_pager"])


@pytest.mark.asyncio
@pytest.mark.parametrize("point", [*UNSENT, *SENT])
async def test_killed_at_any_point_both_pages_arrive(database_url: str, point: str) -> None:
    """Two pages are due when the pager is killed: one was written with the incident, the other is written by it."""
    database = Database(database_url)
    try:
        async with world(database, HOOK, LATER) as w:
            await database.run(open_one, w.steps)
            arguments = (database_url, w.hook.url, w.steps, AT + 600, point)
            killed = processes.Process(target=page_once, args=arguments)
            killed.start()
            await asyncio.to_thread(killed.join, 60)
            assert killed.exitcode == -signal.SIGKILL, "it came to the point"
            killed.close()
            await w.at(600)
            await w.at(600 + LEASE_SECONDS)
            assert w.outbox() == {"0-page": "delivered", "1-page": "delivered"}
            sent = Counter(keys(w.hook))
            assert set(sent) == {"0-page", "1-page"}
            assert max(sent.values()) <= (1 if point in UNSENT else 2)
            assert w.events()[:2] == ["opened", "1 escalated not_acknowledged"]
            assert Counter(w.events())["0 delivered"] == Counter(w.events())["1 delivered"] == 1
    finally:
        database.close()
