"""The two logs as the suite sees them: how to open one, how to take it away, what a child process needs to know."""

import asyncio
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.runtime.broker import Assigned
from services.runtime.embedded import EmbeddedLog
from services.runtime.kafka import KafkaLog
from tests.kafka_server import own_kafka

SESSION = 2.0
"""Seconds after which Kafka takes a silent member's partitions away, in these tests."""


AnyLog = EmbeddedLog | KafkaLog


def log_of(where: dict[str, Any]) -> AnyLog:
    """A log that is not open yet."""
    if "path" in where:
        return EmbeddedLog(where["path"])
    return KafkaLog(where["bootstrap"], session=where["session"])


class Place:
    """One of the logs, and a topic of the test's own."""

    def __init__(self, where: dict[str, Any]) -> None:
        self.where = where
        self.topic = f"test-{uuid.uuid4().hex[:12]}"

    @property
    def embedded(self) -> bool:
        """Whether it is the one in a file."""
        return "path" in self.where

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[AnyLog]:
        """An open log, as another process would open it."""
        log = log_of(self.where)
        await log.open()
        try:
            yield log
        finally:
            await log.close()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Inside, the log does not answer: another program holds the file, or Kafka is stopped."""
        if self.embedded:
            holder = sqlite3.connect(self.where["path"], isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                holder.execute("ROLLBACK")
                holder.close()
        else:
            server = own_kafka()
            server.pause()
            try:
                yield
            finally:
                server.resume()


class Starts:
    """An answer to `starts` that remembers what it was told."""

    def __init__(self, answer: dict[int, int] | None = None, *, seconds: float = 0.0) -> None:
        self.told: dict[int, Assigned] = {}
        self.answered = asyncio.Event()
        self._answer, self._seconds = answer or {}, seconds

    async def __call__(self, assigned: Any) -> dict[int, int]:
        await asyncio.sleep(self._seconds)
        self.told |= {a.partition: a for a in assigned}
        self.answered.set()
        return self._answer


def embedded_place(directory: Path) -> Place:
    """A log in a file of the test's own."""
    return Place({"path": os.fspath(directory / "log.db")})


def kafka_place(bootstrap: str) -> Place:
    """A topic of the test's own in Kafka."""
    return Place({"bootstrap": bootstrap, "session": SESSION})
