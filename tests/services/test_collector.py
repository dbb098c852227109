"""The collector over real HTTP, a log and a database in files, and a clock that the tests move."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select, update

from ingest import store, tables
from ingest.brand import Brand, Matcher
from ingest.fetch import PER_HOST
from ingest.mention import Mention, MentionRecord, Progress, decode
from ingest.sources.feed import Config
from services.collector import BIN_SECONDS, CONCURRENT, DEAD_SECONDS, Collector, collect
from services.metrics import Metrics
from services.runtime.broker import MENTIONS, LogUnavailable, Outgoing
from services.runtime.database import Database
from services.runtime.embedded import EmbeddedLog
from services.runtime.lifecycle import Lifecycle
from tests.support.clock import ManualClock
from tests.support.http import Asked, Server, drip, http_server
from tests.support.running import FeedOnline

NOW = float(1_772_000_000 // BIN_SECONDS * BIN_SECONDS + 60)
"""A minute into a bin."""
FIRST_END = NOW - 60 + BIN_SECONDS
PARTITIONS = 3
BRANDS = (Brand(name="Kometa"), Brand(name="Lumivo"))


class Refusing(EmbeddedLog):
    """A log that refuses mentions so often before it takes them, as one whose broker is away; `offered` is set then."""

    refusals = 0

    async def open(self) -> None:
        self.offered = asyncio.Event()
        await super().open()

    async def publish(self, topic: str, records: Sequence[Outgoing], *, deadline: float = 30.0) -> None:
        if any(record.key for record in records):
            self.offered.set()
        if self.refusals and any(record.key for record in records):
            self.refusals -= 1
            raise LogUnavailable("The broker is away.")
        await super().publish(topic, records, deadline=deadline)


@dataclass
class World:
    """What collectors stand on."""

    server: Server
    log: Refusing
    database: Database
    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    metrics: Metrics = field(default_factory=Metrics)

    @asynccontextmanager
    async def collecting(self, *urls: str, name: str = "a") -> AsyncIterator[Lifecycle]:
        """A collector at work, until the end of the block."""
        lifecycle = Lifecycle("collector")
        sources = [Config(kind="feed", url=url, private=True) for url in urls]
        collector = Collector(
            name, sources, Matcher(BRANDS), self.log, self.database, self.clock,
            self.metrics, lifecycle, contact="mailto:press@example.com",
        )  # fmt: skip
        task = asyncio.create_task(collect(collector))
        try:
            await asyncio.wait({task, asyncio.create_task(lifecycle.started.wait())}, return_when="FIRST_COMPLETED")
            yield lifecycle
        finally:
            task.cancel()
            await asyncio.wait({task})
            await collector.close()
        assert task.cancelled()

    async def records(self) -> list[list[MentionRecord]]:
        """Everything in `mentions`, by partition."""
        batches = [await self.log.read(MENTIONS, partition, 0, 1_000) for partition in range(PARTITIONS)]
        return [[decode(record.value) for record in batch.records] for batch in batches]

    async def progress(self) -> list[list[Progress]]:
        return [[r for r in lane if isinstance(r, Progress)] for lane in await self.records()]

    async def mentions(self) -> list[Mention]:
        return [record for lane in await self.records() for record in lane if isinstance(record, Mention)]

    async def sources(self) -> dict[str, object]:
        """Rows of the table, by the end of the id."""
        rows = await self.database.run(lambda c: c.execute(select(tables.source)).fetchall())
        return {row.id: row for row in rows}

    async def source(self) -> tuple[float, int, str, float | None, str | None]:
        """(next_due, failures, last_reason, first_contact, owner) of the only one."""
        (row,) = (await self.sources()).values()
        return row.next_due, row.failures, row.last_reason, row.first_contact, row.owner  # type: ignore[attr-defined]


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = Database(f"sqlite:///{tmp_path}/tocsin.db")
    database.migrate()
    async with http_server() as server:
        log = Refusing(tmp_path / "log.db", now=lambda: NOW)
        await log.open()
        await log.create({MENTIONS: PARTITIONS}, retention=604_800)
        yield World(server, log, database, tmp_path)
        await log.close()
    database.close()


async def comes_true(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.01)


async def polled(world: World, times: int) -> None:
    """So many polls have ended."""

    async def are_counted() -> bool:
        lines = world.metrics.exposition().decode().splitlines()
        return sum(float(x.split()[-1]) for x in lines if x.startswith("tocsin_polls_total{")) >= times

    await comes_true(are_counted)


async def told(world: World, at: float) -> list[list[Progress]]:
    """Progress, once every partition has heard of this time; on a slow machine some may come between."""

    async def is_there() -> bool:
        return all(any(progress.at == at for progress in lane) for lane in await world.progress())

    await comes_true(is_there)
    return await world.progress()


@pytest.mark.asyncio
async def test_progress_comes_to_every_partition_after_the_mentions_of_its_polls(world: World):
    feed = FeedOnline(world.server)
    for number in range(20):
        feed.say(f"Kometa and Lumivo, part {number}", NOW - 600)
    async with world.collecting(feed.url):
        await polled(world, 1)
        await world.clock.move_to(FIRST_END)
        lanes = await told(world, FIRST_END)
    assert lanes[0] == lanes[1] == lanes[2]
    assert (lanes[0][0].at, lanes[0][0].polls, lanes[0][0].collector) == (NOW, (), "a")
    ((poll,),) = [progress.polls for progress in lanes[0] if progress.polls]
    assert (poll.at, poll.answered, poll.reason, poll.items) == (NOW, True, "new", 20)
    assert poll.brands == ()  # all of them
    assert len(await world.mentions()) == 40
    for lane in await world.records():
        tells = next(place for place, record in enumerate(lane) if isinstance(record, Progress) and record.polls)
        mentions = [place for place, record in enumerate(lane) if isinstance(record, Mention)]
        assert mentions, "nothing went into this partition: the order says nothing"
        assert mentions[-1] < tells


@pytest.mark.asyncio
async def test_the_end_of_every_bin_is_told(world: World):
    async with world.collecting(FeedOnline(world.server).url):
        await polled(world, 1)
        for number in range(4):
            await world.clock.move_to(FIRST_END + number * BIN_SECONDS)
            await told(world, FIRST_END + number * BIN_SECONDS)
    ends = [FIRST_END + number * BIN_SECONDS for number in range(4)]
    for lane in await world.progress():
        assert list(dict.fromkeys(progress.at for progress in lane)) == [NOW, *ends]


@pytest.mark.asyncio
async def test_what_was_polled_is_told_at_a_stop_and_then_goodbye(world: World):
    async with world.collecting(FeedOnline(world.server).url):
        await polled(world, 1)
    for lane in await world.progress():
        assert sum(len(progress.polls) for progress in lane) == 1
        assert [progress.leaving for progress in lane][-2:] == [False, True]
    assert await world.database.run(lambda c: c.execute(select(tables.collector.c.name)).scalars().all()) == []


@pytest.mark.asyncio
async def test_a_host_that_does_not_answer_keeps_no_other_waiting(world: World):
    silent = [f"/{number}.xml" for number in range(CONCURRENT + 4)]
    for path in silent:
        world.server.on_raw(path, drip)
    quick = FeedOnline(world.server, "/quick.xml")
    urls = [*map(world.server.url, silent), world.server.url("/quick.xml", host="localhost")]
    async with world.collecting(*urls) as lifecycle:
        await polled(world, 1)
        assert len(quick.asked) == 1
        assert not lifecycle.idle, "the silent ones are still being waited for"
    asked = Counter(asked.path for asked in world.server.asked)
    assert len(asked) == 1 + PER_HOST, "and of their host only as many are taken as may be asked at once"


@pytest.mark.asyncio
async def test_a_source_that_fails_is_a_failed_poll_and_is_asked_ever_more_rarely(world: World):
    world.server.on("/feed.xml", b"sorry", status=503)
    waits = []
    async with world.collecting(world.server.url("/feed.xml")):
        for number in range(1, 4):
            await polled(world, number)

            async def is_kept(number: int = number) -> bool:
                return (await world.source())[1] == number

            await comes_true(is_kept)
            due, _, reason, contact, owner = await world.source()
            assert (reason, contact, owner) == ("status-5xx", None, None)
            waits.append(due - world.clock.now())
            await world.clock.move_to(due)
    assert 10 <= waits[0] < waits[1] < waits[2]
    assert waits[2] > 3 * waits[0]
    polls = [poll for progress in (await world.progress())[0] for poll in progress.polls]
    assert [(poll.answered, poll.reason, poll.items) for poll in polls[:3]] == [(False, "status-5xx", 0)] * 3
    assert b'tocsin_sources_failing{kind="feed"} 1.0' in world.metrics.exposition()


@pytest.mark.asyncio
async def test_two_collectors_never_ask_the_same_source_at_once(world: World):
    together: Counter[str] = Counter()
    most: Counter[str] = Counter()
    goes_on = asyncio.Event()
    feeds = [FeedOnline(world.server, f"/{number}.xml") for number in range(CONCURRENT + 6)]  # more than one takes
    for feed in feeds:
        world.server.on_raw(feed.path, _counting(feed, together, most, goes_on))
    urls = [feed.url for feed in feeds]

    async def all_asked() -> bool:
        return sum(together.values()) >= 4  # two at a time from each collector: one host

    async with world.collecting(*urls, name="a"), world.collecting(*urls, name="b"):
        await comes_true(all_asked)
        goes_on.set()
        await polled(world, len(feeds))
        dues = [row.next_due for row in (await world.sources()).values()]  # type: ignore[attr-defined]
        await world.clock.move_to(max(dues))
        await polled(world, 2 * len(feeds))
    assert set(most.values()) == {1}
    assert {feed.path: len(feed.asked) for feed in feeds} == {feed.path: 2 for feed in feeds}
    polls = Counter((p.collector, poll.source) for p in (await world.progress())[0] for poll in p.polls)
    assert sum(polls.values()) == 2 * len(feeds)
    assert {collector for collector, _ in polls} == {"a", "b"}


def _counting(feed: FeedOnline, together: Counter[str], most: Counter[str], goes_on: asyncio.Event):
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        together[feed.path] += 1
        most[feed.path] = max(most[feed.path], together[feed.path])
        await goes_on.wait()
        together[feed.path] -= 1
        await feed._answer(asked, writer)

    return answer


@pytest.mark.asyncio
async def test_a_collector_that_died_is_said_goodbye_for(world: World):
    await world.database.run(store.sign_of_life, "ghost", NOW - DEAD_SECONDS - 1)
    await world.database.run(store.sign_of_life, "neighbour", NOW - DEAD_SECONDS + 1)
    async with world.collecting(FeedOnline(world.server).url):
        await polled(world, 1)
    for lane in await world.progress():
        assert [(p.collector, p.at) for p in lane if p.leaving] == [("ghost", NOW), ("a", NOW)]
    names = await world.database.run(lambda c: set(c.execute(select(tables.collector.c.name)).scalars()))
    assert names == {"neighbour"}


@pytest.mark.asyncio
async def test_a_collector_that_comes_back_need_not_wait_for_its_own_lease(world: World):
    world.server.on_raw("/feed.xml", drip)
    url = world.server.url("/feed.xml")

    async def is_asked() -> bool:
        return len(world.server.asked) > 0

    async with world.collecting(url):
        await comes_true(is_asked)
    assert (await world.source())[4] == "a", "it was cut off in the middle"
    feed = FeedOnline(world.server)
    other = FeedOnline(world.server, "/other.xml")
    async with world.collecting(url, other.url, name="b") as lifecycle:
        await polled(world, 1)

        async def nothing_is_under_way() -> bool:
            return lifecycle.idle

        await comes_true(nothing_is_under_way)
        assert [asked.path for asked in world.server.asked] == ["/feed.xml", "/other.xml"], "it does not wait"
    async with world.collecting(url):
        await polled(world, 2)
    assert len(feed.asked) == 2
    assert {row.owner for row in (await world.sources()).values()} == {None}  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_while_the_log_takes_nothing_the_cursor_stays_where_it_is(world: World):
    feed = FeedOnline(world.server)
    feed.say("Kometa is late", NOW - 60)

    async def is_asked() -> bool:
        return len(feed.asked) > 0

    feed.open.clear()
    async with world.collecting(feed.url) as lifecycle:
        await comes_true(is_asked)
        held = sqlite3.connect(world.folder / "log.db", isolation_level=None)
        held.execute("BEGIN IMMEDIATE")  # another program has the file of the log
        feed.open.set()
        await asyncio.wait_for(world.log.offered.wait(), 20)
        assert (await world.source())[3] is None
        assert lifecycle.in_hand("poll") == 1
        held.execute("ROLLBACK")
        held.close()
        await polled(world, 1)
    assert (await world.source())[3] == NOW
    assert len(await world.mentions()) == 1


@pytest.mark.asyncio
async def test_what_the_log_refuses_is_offered_again(world: World):
    feed = FeedOnline(world.server)
    feed.say("Kometa is late", NOW - 60)
    world.log.refusals = 1
    async with world.collecting(feed.url):
        await polled(world, 1)
    assert len(await world.mentions()) == 1
    assert len(feed.asked) == 1
    assert b'tocsin_log_failures_total{stage="collector"} 1.0' in world.metrics.exposition()


@pytest.mark.asyncio
async def test_a_lease_that_was_taken_away_moves_no_cursor(world: World):
    feed = FeedOnline(world.server)
    feed.say("Kometa is late", NOW - 60)
    feed.open.clear()

    async def is_asked() -> bool:
        return len(feed.asked) > 0

    def take(connection: Connection) -> None:
        connection.execute(update(tables.source).values(owner="b", epoch=tables.source.c.epoch + 1))

    async with world.collecting(feed.url) as lifecycle:
        await comes_true(is_asked)
        await world.database.run(take)
        feed.open.set()

        async def is_over() -> bool:
            return lifecycle.in_hand("poll") == 0

        await comes_true(is_over)
    due, _, reason, contact, owner = await world.source()
    assert (due, reason, contact, owner) == (0, "", None, "b")
    assert [poll for progress in (await world.progress())[0] for poll in progress.polls] == []
    assert len(await world.mentions()) == 1, "it was published before: its id makes that harmless"
