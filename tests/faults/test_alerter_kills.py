"""SIGKILL before and after each step of the alerter's transaction: everything counts once, and pages once.

One world a pair of log and database: two quiet days of many brands, then for each point a crisis of one more brand.
"""

import asyncio
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from classify.sentiment import ScoredMention, Sentiment
from ingest.mention import Mention, Poll, Progress, encode
from services.runtime.broker import SCORED, Outgoing
from tests.faults import alerter_child
from tests.faults.alerter_child import Place, Point
from tests.kafka_server import shared_kafka

DAY = 86_400
START = 1_760_000_000 // DAY * DAY
QUIET_DAYS = 3
CRISIS = 60
STATEMENTS = 22
"""At least as many as the transaction has; a point behind its end is not met, and the child then ends by itself."""
POINTS = [
    Point("received"),
    *(Point("before", n) for n in range(1, STATEMENTS + 1)),
    Point("after", 1),
    Point("after", 2),
    Point("before", "commit"),
    Point("after", "commit"),
]
"""After a statement is before the next one; that it is so, the first two show."""

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["tests.faults.preload"])


@dataclass
class Pipeline:
    """A log and a database with a past."""

    place: Place
    database_url: str
    brands: list[str]
    now: float = START
    numbers: int = 0
    told: list[Outgoing] = field(default_factory=list)

    def mention(self, brand: str, time: float) -> None:
        self.numbers += 1
        said = Mention(
            id=f"{self.numbers:032x}", brand=brand, post=str(self.numbers), source="s", kind="feed", published=time,
            collected=time, text=f"complaint {self.numbers}",
        )  # fmt: skip
        scored = ScoredMention(
            mention=said, language="en", sentiment=Sentiment(0.9, 0.05, 0.05), label="negative", model="m"
        )
        self.told.append(Outgoing(encode(scored), partition=0))

    def progress(self, at: float) -> None:
        poll = Poll(source="s", at=at, answered=True, brands=tuple(self.brands))
        self.told.append(Outgoing(encode(Progress(collector="c", at=at, polls=(poll,), path=0, paths=1)), partition=0))

    def publish(self) -> None:
        async def send() -> None:
            log = await self.place.open()
            await log.create({SCORED: 1, "dead": 1}, retention=30 * DAY)
            await log.publish(SCORED, self.told)
            await log.close()

        asyncio.run(send())
        self.told.clear()

    def child(self, point: Point | None = None, number: int = signal.SIGKILL) -> multiprocessing.Process:
        process = forks.Process(
            target=alerter_child.run, args=(self.place, self.database_url, self.brands, point, number)
        )
        process.start()
        return process

    def finish(self) -> None:
        child = self.child()
        child.join(90)
        assert child.exitcode == 0

    def one(self, statement: str, **values: object) -> object:
        engine = create_engine(self.database_url)
        with engine.connect() as connection:
            found = connection.execute(text(statement), values).scalar()
        engine.dispose()
        return found

    def quiet_past(self) -> None:
        for hour in range(QUIET_DAYS * 24):
            for brand in self.brands:
                self.mention(brand, START + hour * 3_600 + 60)
            self.progress(START + (hour + 1) * 3_600)
        self.now = START + QUIET_DAYS * DAY
        self.publish()
        self.finish()

    def crisis(self, brand: str) -> None:
        for n in range(CRISIS):
            self.mention(brand, self.now + n * 9)
        self.now += 600
        self.progress(self.now)
        self.publish()


@pytest.fixture(params=["embedded", "kafka"])
def pipeline(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Pipeline]:
    place = Place("embedded", str(tmp_path / "log.db"))
    if request.param == "kafka":
        address = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if address is None:
            server = shared_kafka()
            if server is None:
                pytest.skip("needs Apache Kafka: set KAFKA_HOME to an unpacked distribution")
            address = server.bootstrap
        place = Place("kafka", address, prefix=f"{uuid.uuid4().hex[:8]}.")
    brands = [f"Brand {n}" for n in range(len(POINTS) + 1)]
    made = Pipeline(place, database_url, brands)
    made.quiet_past()
    yield made


def test_whenever_it_is_killed_everything_counts_once_and_pages_once(pipeline: Pipeline):
    met = []
    for point, brand in zip(POINTS, pipeline.brands, strict=False):
        pipeline.crisis(brand)
        child = pipeline.child(point)
        child.join(90)
        stored = pipeline.one(
            "SELECT count(*) FROM mention WHERE brand = :b AND time >= :t", b=brand, t=pipeline.now - 600
        )
        assert stored in (0, CRISIS), f"half a transaction was written: {point}"
        if child.exitcode == -signal.SIGKILL:
            met.append(point)
            assert stored == (CRISIS if point == Point("after", "commit") else 0), str(point)
            pipeline.finish()
        else:
            assert child.exitcode == 0
            assert isinstance(point.what, int), f"{point} was never reached"
        assert pipeline.one("SELECT count(*) FROM mention WHERE brand = :b", b=brand) == QUIET_DAYS * 24 + CRISIS
        assert pipeline.one("SELECT sum(negative) FROM bin WHERE brand = :b", b=brand) == QUIET_DAYS * 24 + CRISIS
        assert pipeline.one("SELECT count(*) FROM incident WHERE brand = :b", b=brand) == 1, str(point)
        pages = "SELECT count(*) FROM outbox o JOIN incident i ON i.id = o.incident WHERE i.brand = :b"
        assert pipeline.one(pages, b=brand) == 1, str(point)
    statements = [p.what for p in met if isinstance(p.what, int)]
    assert max(statements) >= 10, "the transaction has more statements than were met"
    assert max(statements) < STATEMENTS, "there are more statements than points: raise STATEMENTS"


def test_a_zombie_writes_nothing(pipeline: Pipeline):
    """Stopped after it received a batch, longer than its session; another one takes over; then it wakes up."""
    brand = pipeline.brands[0]
    pipeline.crisis(brand)
    zombie = pipeline.child(Point("received"), signal.SIGSTOP)
    while not Path(f"/proc/{zombie.pid}/stat").read_text().split(") ")[1].startswith("T"):
        time.sleep(0.05)
    if pipeline.place.kind == "embedded":  # a lock keeps others out for as long as the sleeper lives
        other = pipeline.child()
        other.join(90)
        assert other.exitcode == 1
    else:
        pipeline.finish()
    epoch = pipeline.one("SELECT epoch FROM progress WHERE partition = 0")
    os.kill(zombie.pid, signal.SIGCONT)
    zombie.join(90)
    assert zombie.exitcode == 0
    assert pipeline.one("SELECT epoch FROM progress WHERE partition = 0") >= epoch
    assert pipeline.one("SELECT count(*) FROM mention WHERE brand = :b", b=brand) == QUIET_DAYS * 24 + CRISIS
    assert pipeline.one("SELECT sum(negative) FROM bin WHERE brand = :b", b=brand) == QUIET_DAYS * 24 + CRISIS
    assert pipeline.one("SELECT count(*) FROM incident WHERE brand = :b", b=brand) == 1
