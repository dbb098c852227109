"""What the tests do with a subscription."""

import asyncio
import contextlib
from collections.abc import Iterable

from services.runtime.broker import Batch, Log, LogUnavailable, NotOwner, Outgoing, Subscription

PATIENCE = 30.0
"""Seconds that a test waits for what must happen."""


def keyed(count: int, keys: int = 10, name: str = "r") -> list[Outgoing]:
    """Records with few keys, numbered."""
    return [Outgoing(f"{name}-{i}".encode(), f"key-{i % keys}".encode()) for i in range(count)]


def values(batches: Iterable[Batch]) -> list[bytes]:
    """All values, in the order of delivery."""
    return [record.value for batch in batches for record in batch.records]


async def take(subscription: Subscription, count: int, *, commit: bool = True) -> list[Batch]:
    """Batches until there are at least so many records."""
    taken: list[Batch] = []
    async with asyncio.timeout(PATIENCE):
        async for batch in subscription.batches():
            taken.append(batch)
            if commit:
                await subscription.commit(batch.partition, batch.next_offset)
            if len(values(taken)) >= count:
                break
    return taken


async def read_all(log: Log, topic: str, group: str, count: int) -> list[Batch]:
    """Join, read and commit so many records, leave."""
    async with log.subscribe(topic, group) as subscription:
        return await take(subscription, count)


class Reader:
    """A member that reads in the background; where it cannot commit, it goes on and expects the batch again."""

    def __init__(self, subscription: Subscription) -> None:
        self.batches: list[Batch] = []
        self.arrived = asyncio.Event()
        self._subscription = subscription
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for batch in self._subscription.batches():
            self.batches.append(batch)
            with contextlib.suppress(NotOwner, LogUnavailable):
                await self._subscription.commit(batch.partition, batch.next_offset)
            self.arrived.set()

    @property
    def partitions(self) -> set[int]:
        """Where its records came from."""
        return {batch.partition for batch in self.batches}

    async def stop(self) -> None:
        """Stop reading."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
