"""A log and a lifecycle that tell when something has been done; the log knows without asking what is on its way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager

from services.runtime.broker import Batch, Log, LogUnavailable, Lost, Outgoing, Starts, Subscription
from services.runtime.lifecycle import Lifecycle


class WatchedLog(Log):
    """Passes everything on to another log, counts, and keeps its topics apart from those of others.

    Args:
        log: the real one, freshly made topics in it.
        changed: set whenever a group has done something.
        prefix: put before topics and groups.
    """

    def __init__(self, log: Log, changed: asyncio.Event, prefix: str = "") -> None:
        self._log = log
        self._changed = changed
        self._prefix = prefix
        self._published: Counter[str] = Counter()
        self._done: dict[tuple[str, str], Counter[int]] = {}
        self._unsure = False

    async def create(self, topics: Mapping[str, int], *, retention: float) -> None:
        """Create the topics that do not exist."""
        await self._log.create({self._prefix + name: count for name, count in topics.items()}, retention=retention)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return await self._log.partitions(self._prefix + topic)

    async def publish(self, topic: str, records: Sequence[Outgoing], *, deadline: float = 30.0) -> None:
        """Counted as on its way before it is."""
        self._published[topic] += len(records)
        try:
            await self._log.publish(self._prefix + topic, records, deadline=deadline)
        except LogUnavailable:
            self._unsure = True
            raise

    @asynccontextmanager
    async def subscribe(
        self, topic: str, group: str, starts: Starts | None = None, lost: Lost | None = None
    ) -> AsyncIterator[Subscription]:
        """Join a group."""
        async with self._log.subscribe(self._prefix + topic, self._prefix + group, starts, lost) as subscription:
            done = self._done.setdefault((topic, group), Counter())
            yield _WatchedSubscription(subscription, topic, done, self._changed)

    async def read(self, topic: str, partition: int, offset: int, limit: int) -> Batch:
        """Outside of any group."""
        return await self._log.read(self._prefix + topic, partition, offset, limit)

    async def lag(self, topic: str, group: str) -> int:
        """Records that the group has not committed yet; only asked for where a failure has made the count unsure."""
        if self._unsure:
            return await self._log.lag(self._prefix + topic, self._prefix + group)
        return self._published[topic] - sum(self._done.get((topic, group), Counter()).values())

    async def close(self) -> None:
        """Close the real one."""
        await self._log.close()


class _WatchedSubscription(Subscription):
    def __init__(self, subscription: Subscription, topic: str, done: Counter[int], changed: asyncio.Event) -> None:
        self._subscription = subscription
        self._topic = topic
        self._done = done
        self._changed = changed

    async def batches(self) -> AsyncIterator[Batch]:
        async for batch in self._subscription.batches():
            yield Batch(self._topic, batch.partition, batch.records, batch.next_offset, batch.end)

    async def commit(self, partition: int, next_offset: int) -> None:
        await self._subscription.commit(partition, next_offset)
        self._done[partition] = max(self._done[partition], next_offset)
        self._changed.set()


class WatchedLifecycle(Lifecycle):
    """Tells whenever something is no longer in hand, too."""

    def __init__(self, changed: asyncio.Event, *stages: str) -> None:
        super().__init__(*stages)
        self._changed = changed

    @contextmanager
    def hold(self, what: str) -> Iterator[None]:
        """Something is in hand until the block is left."""
        try:
            with super().hold(what):
                yield
        finally:
            self._changed.set()
