"""The classifier over a log in a file, with a model that is quick and honest: it reads two words."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from classify.language import Languages
from classify.model import Answer, Question
from classify.score import Scorer
from classify.sentiment import ScoredMention, ScoredRecord, Sentiment, decode
from ingest.mention import Mention, Poll, Progress, encode, mention_id
from services.classifier import DISAGREES, GROUP, classify
from services.metrics import Metrics
from services.runtime import dead_letters
from services.runtime.broker import DEAD, MENTIONS, SCORED, LogUnavailable, Outgoing
from services.runtime.clock import Clock, WallClock
from services.runtime.embedded import EmbeddedLog
from services.runtime.lifecycle import Lifecycle
from services.runtime.partition import partition_of
from tests.support.clock import ManualClock

PATHS, TARGETS = 3, 2
BRANDS = ("Kometa", "Nimbus", "Lumivo")
LONG_AGO = 1_000_000.0


class TwoWords:
    """`bad` is negative, `good` is positive, anything else neutral."""

    name = "two-words-1"

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        return [self._one(question.text) for question in questions]

    def _one(self, text: str) -> Answer:
        if "bad" in text:
            return Answer(Sentiment(0.8, 0.1, 0.1), "negative")
        if "good" in text:
            return Answer(Sentiment(0.1, 0.1, 0.8), "positive")
        return Answer(Sentiment(0.1, 0.8, 0.1), "neutral")


class Refusing(EmbeddedLog):
    """A log that refuses to publish so often before it takes anything, as one whose broker is away."""

    refusals = 0

    async def publish(self, topic: str, records: Sequence[Outgoing], *, deadline: float = 30.0) -> None:
        if self.refusals and topic != MENTIONS:
            self.refusals -= 1
            raise LogUnavailable("The broker is away.")
        await super().publish(topic, records, deadline=deadline)


@dataclass
class World:
    log: Refusing
    metrics: Metrics = field(default_factory=Metrics)

    @asynccontextmanager
    async def classifying(self, clock: Clock) -> AsyncIterator[None]:
        """A classifier at work; the block ends when it has read everything."""
        lifecycle = Lifecycle("classifier")
        scorer = Scorer(TwoWords(), Languages(("en", "pl")))
        task = asyncio.create_task(classify(self.log, scorer, clock, self.metrics, lifecycle))
        try:
            yield
            async with asyncio.timeout(20):
                while not task.done() and await self.log.lag(MENTIONS, GROUP):
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.wait({task})
        assert task.cancelled()

    async def scored(self) -> list[list[ScoredRecord]]:
        """Everything in `mentions.scored`, by partition."""
        batches = [await self.log.read(SCORED, partition, 0, 1_000) for partition in range(TARGETS)]
        return [[decode(record.value) for record in batch.records] for batch in batches]

    def metric(self, name: str, **labels: str) -> float | None:
        registry: CollectorRegistry = self.metrics.registry
        return registry.get_sample_value(name, labels)


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    log = Refusing(tmp_path / "log.db")
    await log.open()
    await log.create({MENTIONS: PATHS, SCORED: TARGETS}, retention=604_800)
    await log.create({DEAD: 1}, retention=604_800)
    yield World(log)
    await log.close()


def mention(number: int | str, brand: str = "Kometa", said: str = "is there") -> Mention:
    return Mention(
        id=mention_id(brand, str(number)), brand=brand, post=str(number), source="s", kind="feed",
        text=f"{brand} {said} again, as everybody in the town says, number {number}", collected=LONG_AGO,
    )  # fmt: skip


def to(path: int, *values: Mention | Progress | bytes) -> list[Outgoing]:
    return [Outgoing(v if isinstance(v, bytes) else encode(v), partition=path) for v in values]


def names(lane: Sequence[ScoredRecord]) -> list[str]:
    """Posts of mentions; of Progress its path and its collector."""
    return [r.mention.post if isinstance(r, ScoredMention) else f"{r.path}:{r.collector}" for r in lane]


@pytest.mark.asyncio
async def test_progress_goes_to_every_partition_behind_all_that_came_before_it(world: World):
    polls = (Poll(source="s", at=LONG_AGO, answered=True, brands=("Kometa",)),)
    brand = next(brand for brand in BRANDS if partition_of(brand.encode(), TARGETS) == 0)
    for path in range(PATHS):
        one, two, three = (mention(f"{path}:{number}", brand) for number in ("one", "two", "three"))
        first, second = (Progress(collector=name, at=LONG_AGO, polls=polls) for name in ("first", "second"))
        await world.log.publish(MENTIONS, to(path, one, two, first, three, second))
    async with world.classifying(ManualClock(LONG_AGO)):
        pass
    full, empty = await world.scored()
    for path in range(PATHS):
        mine = [name.removeprefix(f"{path}:") for name in names(full) if name.startswith(f"{path}:")]
        assert mine == ["one", "two", "first", "three", "second"]
    assert sorted(names(empty)) == sorted(f"{path}:{name}" for path in range(PATHS) for name in ("first", "second"))
    for lane in (full, empty):
        told = [record for record in lane if isinstance(record, Progress)]
        assert {(p.paths, p.at, p.polls, p.leaving) for p in told} == {(PATHS, LONG_AGO, polls, False)}


@pytest.mark.asyncio
async def test_a_goodbye_stays_a_goodbye(world: World):
    await world.log.publish(MENTIONS, to(1, Progress(collector="ghost", at=LONG_AGO, leaving=True)))
    async with world.classifying(ManualClock(LONG_AGO)):
        pass
    for lane in await world.scored():
        assert lane == [Progress(collector="ghost", at=LONG_AGO, leaving=True, path=1, paths=PATHS)]


@pytest.mark.asyncio
async def test_a_clock_that_disagrees_with_the_logs_moves_nothing(world: World):
    now = time.time()
    clocks = {"right": now, "slow": now - DISAGREES - 60, "fast": now + DISAGREES + 60, "near": now - DISAGREES + 60}
    told = [Progress(collector=name, at=at) for name, at in clocks.items()]
    await world.log.publish(MENTIONS, to(0, mention(1), *told, mention(2)))
    async with world.classifying(WallClock()):
        pass
    for lane in await world.scored():
        assert [r.collector for r in lane if isinstance(r, Progress)] == ["right", "near"]
    assert world.metric("tocsin_progress_refused_total") == 2
    assert sum(isinstance(r, ScoredMention) for lane in await world.scored() for r in lane) == 2


@pytest.mark.asyncio
async def test_a_clock_of_its_own_is_not_compared_with_the_logs(world: World):
    await world.log.publish(MENTIONS, to(0, Progress(collector="demo", at=LONG_AGO)))
    async with world.classifying(ManualClock(LONG_AGO)):
        pass
    assert [len(lane) for lane in await world.scored()] == [1] * TARGETS
    assert world.metric("tocsin_progress_refused_total") == 0


@pytest.mark.asyncio
async def test_a_brands_mentions_meet_in_one_partition_in_their_order(world: World):
    assert {partition_of(brand.encode(), TARGETS) for brand in BRANDS} == {0, 1}
    for path in range(PATHS):
        told = [mention(path * 1_000 + n, BRANDS[n % len(BRANDS)], ("bad", "good")[n % 2]) for n in range(100)]
        await world.log.publish(MENTIONS, to(path, *told))
    async with world.classifying(ManualClock(LONG_AGO)):
        pass
    for number, lane in enumerate(await world.scored()):
        found = [r for r in lane if isinstance(r, ScoredMention)]
        assert {partition_of(r.mention.brand.encode(), TARGETS) for r in found} == {number}
        for path in range(PATHS):
            posts = [int(r.mention.post) for r in found if int(r.mention.post) // 1_000 == path]
            assert posts == sorted(posts)
    every = [r for lane in await world.scored() for r in lane if isinstance(r, ScoredMention)]
    assert len({r.mention.id for r in every}) == len(every) == PATHS * 100
    assert all(r.label == ("negative" if "bad" in r.mention.text else "positive") for r in every)
    assert {(r.model, r.language) for r in every} == {("two-words-1", "en")}
    assert world.metric("tocsin_mentions_scored_total", language="en", label="negative") == PATHS * 50


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_put_aside(world: World):
    await world.log.publish(MENTIONS, to(2, mention(1), b"\xff", b'{"type":"tune"}', mention(2)))
    async with world.classifying(ManualClock(LONG_AGO)):
        pass
    lane = (await world.scored())[partition_of(b"Kometa", TARGETS)]
    assert names(lane) == ["1", "2"]
    (record,) = (await world.log.read(DEAD, 0, 0, 10)).records
    letter = dead_letters.read(record.value)
    assert (letter.topic, letter.partition, letter.offset, letter.value) == (MENTIONS, 2, 1, b"\xff")
    assert letter.cause
    assert world.metric("tocsin_records_skipped_total", topic=MENTIONS) == 1
    assert world.metric("tocsin_dead_letters_total", topic=MENTIONS, cause="unreadable") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("told", [mention(1), b"\xff"], ids=["result", "dead letter"])
async def test_what_the_log_refuses_is_offered_again_before_anything_is_committed(world: World, told: Mention | bytes):
    world.log.refusals = 1
    await world.log.publish(MENTIONS, to(0, told))
    async with world.classifying(ManualClock(LONG_AGO)):
        async with asyncio.timeout(20):
            while not world.metric("tocsin_log_failures_total", stage="classifier"):
                await asyncio.sleep(0.01)
        assert await world.log.lag(MENTIONS, GROUP) == 1
    scored = [record for lane in await world.scored() for record in lane]
    letters = (await world.log.read(DEAD, 0, 0, 10)).records
    assert (len(scored), len(letters)) == ((0, 1) if isinstance(told, bytes) else (1, 0))
