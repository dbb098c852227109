"""The alerter on a real database, told as timelines of records: what is counted, when, and whether it pages."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from sqlalchemy import func, select

from alerting import archive, incident_store
from alerting import tables as t
from alerting.bins import evidence, exposure
from alerting.detector import Settings
from alerting.evaluate import Watch, usual
from alerting.policy import Step
from classify.sentiment import ScoredMention, Sentiment
from ingest.mention import Mention, Poll, Progress
from services.alerter import Alerter, PartitionsChanged, Read
from services.metrics import Metrics
from services.runtime.broker import Assigned, Batch, Incoming
from services.runtime.database import Database

DAY, HOUR = 86_400, 3_600
START = 1_760_000_000 // DAY * DAY
BRAND = "Kometa"


class Still:
    """A clock that stands."""

    is_wall = True

    def now(self) -> float:
        return START + 100 * DAY

    async def sleep_until(self, when: float) -> None:
        raise AssertionError("the alerter does not sleep")


@dataclass
class Timeline:
    """One partition of `mentions.scored`, written and consumed record by record or in batches."""

    database: Database
    settings: Settings = field(default_factory=Settings)
    config: str = "1"
    sources: tuple[str, ...] = ("old", "new", "gone")
    paths: int = 1
    offset: int = 0
    numbers: int = 0

    async def open(self, **changed: object) -> "Timeline":
        """Start an alerter; the present offset of the log is where it stands."""
        for name, value in changed.items():
            setattr(self, name, value)
        self.alerter = Alerter(
            self.database, {BRAND: self.config}, self.sources, self.settings, [Step("team")], 1, Still(), Metrics()
        )  # fmt: skip
        await self.alerter.starts([Assigned(0, 0, self.offset, None, "log")])
        return self

    def mention(self, time: float, source: str = "old", number: int | None = None, **more: object) -> ScoredMention:
        if number is None:
            self.numbers += 1
            number = self.numbers
        values: dict[str, object] = {"text": f"complaint {number}", "collected": time, "published": time} | more
        said = Mention(id=f"{number:032x}", brand=BRAND, post=str(number), source=source, kind="feed", **values)
        return ScoredMention(
            mention=said, language="en", sentiment=Sentiment(0.9, 0.05, 0.05), label="negative", model="m"
        )

    def progress(self, at: float, *sources: str, path: int = 0) -> Progress:
        polls = tuple(Poll(source=s, at=at, answered=True) for s in sources)
        return Progress(collector="c", at=at, polls=polls, path=path, paths=self.paths)

    async def tell(self, *records: ScoredMention | Progress) -> None:
        """All of them in one batch."""
        incoming = [Incoming(self.offset + i, None, b"", 0.0) for i in range(len(records))]
        batch = Batch("mentions.scored", 0, incoming, self.offset + len(records), self.offset + len(records))
        await self.alerter.step(batch, Read(values=list(records)))
        self.offset = batch.next_offset

    async def quiet(self, start: float, days: float, sources: Sequence[str] = ("old",), rate: float = 0.3) -> float:
        chance = random.Random(start)
        bins = int(days * 288)
        told: list[ScoredMention | Progress] = []
        for n in range(bins):
            at = start + n * 300
            told += [self.mention(at + chance.random() * 300) for _ in range(chance.random() < rate)]
            told += [self.progress(at + 300, *sources, path=p) for p in range(self.paths)]
        await self.tell(*told)
        return start + bins * 300

    async def crisis(self, start: float, bins: int, source: str = "old", a_bin: int = 6) -> float:
        for n in range(bins):
            at = start + n * 300
            told = [self.mention(at + i * 20, source) for i in range(a_bin)]
            await self.tell(*told, *(self.progress(at + 300, source, path=p) for p in range(self.paths)))
        return start + bins * 300

    def counted(self, start: float = 0) -> int:
        bins = self.database.run_here(archive.load_bins, BRAND, start, ["old", "new"])
        return sum(b.negative for b in bins.values())

    def binned(self, start: float) -> int:
        statement = select(func.sum(t.bin.c.negative)).where(t.bin.c.start >= start)
        return self.database.run_here(lambda connection: connection.execute(statement).scalar()) or 0

    @property
    def watch(self) -> Watch:
        return self.alerter._held[0].account.watches[BRAND]

    def expected(self, now: float) -> float:
        """Of a bin seen whole, by what is known at `now`."""
        return float(usual(self.watch.checkpoints[-1].state, np.array([int(now) - 300]))[0])

    def exposure(self, now: float) -> float:
        """Of the newest bin."""
        seen = exposure(np.array([int(now) - 300]), evidence(self.watch.services, now).values())
        return float(seen[0])

    def incidents(self) -> list[str]:
        return [incident.state for incident in self.database.run_here(incident_store.load_recent, 10)]


@pytest.mark.asyncio
async def test_a_crisis_opens_one_incident_with_its_first_page_and_closes_it(database: Database) -> None:
    line = await Timeline(database).open()
    now = await line.quiet(START, 4)
    now = await line.crisis(now, 12)
    assert line.incidents() == ["open"]
    await line.quiet(now, 1)
    assert line.incidents() == ["closed"]


@pytest.mark.asyncio
async def test_a_changed_configuration_does_not_silence_a_crisis_that_goes_on(database: Database) -> None:
    line = await Timeline(database, settings=Settings(pages_per_month=0.001, sensitivity="quiet")).open()
    now = await line.quiet(START, 4)
    now = await line.crisis(now, 2)
    assert line.incidents() == []
    await line.open(settings=Settings(sensitivity="loud"), config="2")
    await line.crisis(now, 12)
    assert line.incidents() == ["open"]


@pytest.mark.asyncio
async def test_mentions_on_a_slow_path_do_not_look_like_calm(database: Database) -> None:
    line = await Timeline(database, paths=2).open()
    now = await line.quiet(START, 4)
    slow: list[ScoredMention | Progress] = []
    for n in range(24):
        at = now + n * 300
        await line.tell(line.mention(at), line.progress(at + 300, "old", path=0))
        slow += [*(line.mention(at + i) for i in range(6)), line.progress(at + 300, "old", path=1)]
    assert line.incidents() == []
    await line.tell(*slow)
    assert line.incidents() == ["open"]


@pytest.mark.asyncio
async def test_a_new_source_that_is_faster_does_not_blind_the_old_one(database: Database) -> None:
    line = await Timeline(database).open()
    now = await line.quiet(START, 4)
    await line.tell(line.progress(now, "old", "new"))
    for n in range(12):
        at = now + n * 300
        seen_first = [line.mention(at + i * 20, "new") for i in range(6)]
        seen_later = [replace_source(scored, "old") for scored in seen_first]
        await line.tell(*seen_first, line.progress(at + 150, "new"), *seen_later, line.progress(at + 300, "old"))
    assert line.incidents() == ["open"]
    assert line.binned(now) == line.counted(now) == 72


@pytest.mark.asyncio
async def test_a_source_that_was_taken_away_leaves_the_rate_of_the_others(database: Database) -> None:
    line = await Timeline(database).open()
    now = await half_each(line, START, 6, gone=False)
    assert line.watch.counted == {"old", "gone"}
    before = line.expected(now)
    now = await half_each(line, now, 1, gone=True)
    assert line.watch.counted == {"old", "gone"}
    assert 0.35 < line.exposure(now) < 0.65, "what is not seen is not calm"
    await line.open(sources=("old",))
    assert line.watch.counted == {"old"}
    now = await half_each(line, now, 0.1, gone=True)
    assert line.exposure(now) == 1
    assert 0.3 * before < line.expected(now) < 0.7 * before
    assert line.incidents() == []


async def half_each(line: Timeline, start: float, days: float, *, gone: bool) -> float:
    """Both sources tell of three mentions an hour each, until the second is gone."""
    bins = int(days * 288)
    told: list[ScoredMention | Progress] = []
    for n in range(bins):
        at = start + n * 300
        for source in ("old",) if gone else ("old", "gone"):
            told += [line.mention(at + 60, source)] if n % 4 == 0 else []
        told.append(line.progress(at + 300, *(("old",) if gone else ("old", "gone"))))
    await line.tell(*told)
    return start + bins * 300


@pytest.mark.asyncio
async def test_the_end_of_a_probation_is_no_step_and_a_restart_knows_the_same(database: Database) -> None:
    """A source that says three times as much as the old one is added; after two days it counts, with all it said."""
    line = await Timeline(database).open()
    now = await half_each(line, START, 4, gone=True)
    for n in range(int(2.5 * 288)):
        at = now + n * 300
        told = [line.mention(at + 20 * i, "new") for i in range(3)] if n % 4 == 0 else []
        told += [line.mention(at + 90)] if n % 4 == 0 else []
        await line.tell(*told, line.progress(at + 300, "old", "new"))
    now += int(2.5 * 288) * 300
    assert line.watch.counted == {"old", "new"}
    assert line.incidents() == []
    live = line.expected(now), {start: bin.negative for start, bin in line.watch.bins.items()}
    await line.open()
    assert line.expected(now) == pytest.approx(live[0], rel=0.05)
    assert {start: bin.negative for start, bin in line.watch.bins.items()} == live[1]


@pytest.mark.asyncio
async def test_what_is_lost_while_it_is_taken_is_not_held(database: Database) -> None:
    line = await Timeline(database).open()
    alerter = Alerter(database, {BRAND: "1"}, (), Settings(), [], 1, Still(), Metrics())
    taking = asyncio.create_task(alerter.starts([Assigned(0, 0, 0, None, "log")]))
    await asyncio.sleep(0)  # it waits for the database now
    alerter.lost([0])
    assert await taking == {}
    assert alerter._held == {}
    assert line.incidents() == []


@pytest.mark.asyncio
async def test_what_one_source_shows_as_history_counts_when_another_one_sees_it_live(database: Database) -> None:
    line = await Timeline(database).open()
    now = await line.quiet(START, 3)
    history = line.mention(now + 10, "new", history=True)
    await line.tell(history, line.progress(now + 60, "new"))
    assert line.counted(now) == 0
    live = line.mention(now + 10, "old", number=line.numbers)
    await line.tell(live, live, line.progress(now + 300, "old"))
    assert line.binned(now) == line.counted(now) == 1


@pytest.mark.asyncio
async def test_catching_up_counts_what_stands_behind_a_progress_once(database: Database) -> None:
    line = await Timeline(database).open()
    now = await line.quiet(START, 3, rate=0)
    await line.tell(line.progress(now, "new"))
    later = now + 2 * DAY
    told = [line.mention(later + i, "old") for i in range(5)]
    await line.tell(line.progress(later, "old", "new"), *told, line.progress(later + 600, "old", "new"))
    assert line.binned(now) == line.counted(now) == 5


@pytest.mark.asyncio
async def test_an_edit_in_the_batch_of_its_first_sight_is_kept(database: Database) -> None:
    line = await Timeline(database).open()
    first = line.mention(START + 10)
    edit = line.mention(START + 10, number=line.numbers, text="all is well now", revision=1)
    await line.tell(first, replace_label(edit, "positive"))
    statement = select(t.mention.c.text, t.mention.c.label, t.mention.c.revision)
    assert [tuple(row) for row in database.run_here(lambda c: c.execute(statement).all())] == [
        ("all is well now", "positive", 1)
    ]


@pytest.mark.asyncio
async def test_another_number_of_partitions_is_refused(database: Database) -> None:
    await Timeline(database).open()
    other = Alerter(database, {BRAND: "1"}, (), Settings(), [], 3, Still(), Metrics())
    with pytest.raises(PartitionsChanged, match="has 3 partitions"):
        await other.starts([Assigned(0, 0, 0, None, "log")])


@pytest.mark.asyncio
async def test_another_log_is_read_from_its_beginning_and_what_retention_took_is_counted(database: Database) -> None:
    line = await Timeline(database).open()
    await line.tell(line.mention(START), line.mention(START + 1))
    starts = line.alerter.starts
    assert await starts([Assigned(0, 0, 5, None, "log")]) == {0: 2}
    assert await starts([Assigned(0, 4, 9, None, "log")]) == {0: 4}
    assert await starts([Assigned(0, 1, 9, None, "another")]) == {0: 1}
    assert await starts([Assigned(0, 0, 0, None, "another")]) == {0: 0}


def replace_source(scored: ScoredMention, source: str) -> ScoredMention:
    return msgspec.structs.replace(scored, mention=msgspec.structs.replace(scored.mention, source=source))


def replace_label(scored: ScoredMention, label: str) -> ScoredMention:
    return msgspec.structs.replace(scored, label=label)
