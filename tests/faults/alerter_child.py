"""An alerter in a process of its own that can be killed at a point, told as data."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event, select

from alerting import tables
from alerting.detector import Settings
from alerting.policy import Step
from services.alerter import GROUP, Alerter, alert
from services.metrics import Metrics
from services.runtime.broker import SCORED, Log
from services.runtime.clock import WallClock
from services.runtime.database import Database
from services.runtime.embedded import EmbeddedLog
from services.runtime.kafka import KafkaLog
from services.runtime.lifecycle import Lifecycle


@dataclass(frozen=True)
class Point:
    """When the child stops: before or after the n-th statement of the transaction, its commit, or on receiving."""

    when: str  # received | before | after
    what: int | str = ""  # number of the statement from 1, or "commit"

    def __str__(self) -> str:
        return f"{self.when} {self.what}".strip()


@dataclass(frozen=True)
class Place:
    """Where the log is."""

    kind: str  # embedded | kafka
    address: str  # file | bootstrap servers
    prefix: str = ""

    async def open(self) -> Any:
        if self.kind == "embedded":
            embedded = EmbeddedLog(self.address)
            await embedded.open()
            return embedded
        kafka = KafkaLog(self.address, session=2.0)
        await kafka.open()
        return Prefixed(kafka, self.prefix)


class Prefixed:
    """Topics and groups of their own on a Kafka that others use, too."""

    def __init__(self, log: KafkaLog, prefix: str) -> None:
        self._log, self._prefix = log, prefix

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def create(self, topics: dict[str, int], *, retention: float) -> None:
        await self._log.create({self._prefix + name: n for name, n in topics.items()}, retention=retention)

    async def partitions(self, topic: str) -> int:
        return await self._log.partitions(self._prefix + topic)

    async def publish(self, topic: str, records: Any, **more: Any) -> None:
        await self._log.publish(self._prefix + topic, records, **more)

    async def bounds(self, topic: str, group: str) -> Any:
        return await self._log.bounds(self._prefix + topic, self._prefix + group)

    def subscribe(self, topic: str, group: str, starts: Any = None, lost: Any = None) -> Any:
        return self._log.subscribe(self._prefix + topic, self._prefix + group, starts, lost)


class Watched:
    """A log whose subscription says what it does, so that a point can be met outside of the database, too."""

    def __init__(self, log: Log, hit: Any) -> None:
        self._log, self._hit = log, hit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @asynccontextmanager
    async def subscribe(self, topic: str, group: str, starts: Any = None, lost: Any = None) -> AsyncIterator[Any]:
        async with self._log.subscribe(topic, group, starts, lost) as subscription:
            yield _Subscription(subscription, self._hit)


class _Subscription:
    def __init__(self, subscription: Any, hit: Any) -> None:
        self._subscription, self._hit = subscription, hit

    async def batches(self) -> AsyncIterator[Any]:
        async for batch in self._subscription.batches():
            self._hit("received")
            yield batch

    async def commit(self, partition: int, next_offset: int) -> None:
        self._hit("after", "commit")
        await self._subscription.commit(partition, next_offset)


def run(place: Place, database_url: str, brands: list[str], point: Point | None, number: int = signal.SIGKILL) -> None:
    """Consume until nothing is left, or until the point, where the process sends itself a signal."""
    asyncio.run(_run(place, database_url, brands, point, number))


def _next_offset(connection: Connection) -> int | None:
    return connection.execute(select(tables.progress.c.next_offset)).scalar()


async def _run(place: Place, database_url: str, brands: list[str], point: Point | None, number: int) -> None:
    database = Database(database_url, threads=2)
    state = {"armed": False, "statement": 0, "done": False}

    def hit(when: str, what: int | str = "") -> None:
        state["armed"] |= when == "received"
        if point == Point(when, what) and not state["done"]:
            state["done"] = True
            os.kill(os.getpid(), number)

    def reset(*_: Any) -> None:
        state["statement"] = 0

    def before(*_: Any) -> None:
        state["statement"] += 1
        if state["armed"]:
            hit("before", state["statement"])

    def after(*_: Any) -> None:
        if state["armed"]:
            hit("after", state["statement"])

    event.listen(database.engine, "begin", reset)
    event.listen(database.engine, "before_cursor_execute", before)
    event.listen(database.engine, "after_cursor_execute", after)
    event.listen(database.engine, "commit", lambda *_: hit("before", "commit") if state["armed"] else None)
    log = await place.open()
    alerter = Alerter(
        database, dict.fromkeys(brands, "1"), ["s"], Settings(), [Step("team")], await log.partitions(SCORED), WallClock(),
        Metrics(),
    )  # fmt: skip
    task = asyncio.create_task(alert(Watched(log, hit), alerter, Metrics(), Lifecycle("alerter"), asyncio.Event()))
    watching = Database(database_url, threads=1)
    (bounds,) = await log.bounds(SCORED, GROUP)
    while (await watching.run(_next_offset) or 0) < bounds.end and not task.done():
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)  # what stopped a zombie writes comes after its wake-up
    task.cancel()
    watching.close()
    (ending,) = await asyncio.gather(task, return_exceptions=True)
    await log.close()
    database.close()
    if isinstance(ending, Exception):
        raise ending
