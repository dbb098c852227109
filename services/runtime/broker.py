"""The log, as services see it. `embedded.py` and `kafka.py` keep these promises; `tests/contracts` holds them to it.

Promises: records of one key stay in order within their partition; a published record is durable when `publish`
returns; what was not committed is delivered again; a member that lost a partition cannot commit for it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

MENTIONS, SCORED, DEAD = "mentions", "mentions.scored", "dead"
"""The topics."""

MAX_RECORD_BYTES = 1_000_000
"""Most bytes of key and value together that a log takes (Kafka's default `message.max.bytes` is 1,048,588)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to publish. The partition follows from the key (murmur2, as Kafka does) unless it is given."""

    value: bytes
    key: bytes | None = None
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record as it was read."""

    offset: int
    key: bytes | None
    value: bytes
    stamp: float
    """When the log took it, seconds since the epoch (append time)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition, in order. `next_offset` is what to commit after them."""

    topic: str
    partition: int
    records: Sequence[Incoming]
    next_offset: int
    end: int
    """Offset after the last record of the partition when this batch was read."""

    @property
    def lag(self) -> int:
        """Records of the partition that are not in this batch and come after it."""
        return max(0, self.end - self.next_offset)


@dataclass(frozen=True, slots=True)
class Assigned:
    """A partition that this member is about to read."""

    partition: int
    begin: int
    """Oldest offset the log still holds."""
    end: int
    committed: int | None
    """What the group has committed, or None."""
    identity: str
    """Identity of the log: another one means that offsets mean something else."""


Starts = Callable[[Sequence[Assigned]], Awaitable[Mapping[int, int]]]
"""Asked whenever partitions are assigned: where to begin in each. Nothing of them is delivered before it answered;
an exception in it reaches the reader of `batches()`."""


Lost = Callable[[Collection[int]], None]
"""Told which partitions this member has given up."""


class LogUnavailable(Exception):
    """The log did not answer within the deadline; what was to be published may or may not be there."""


class NotOwner(Exception):
    """The partition belongs to another member by now: drop the batch, it is delivered there."""


class OutOfBounds(Exception):
    """`starts` named an offset that the log does not hold; nothing is delivered."""


class Busy(Exception):
    """Another process consumes this embedded log; the message names it."""


class Subscription(Protocol):
    """One member of a group, reading one topic."""

    def batches(self) -> AsyncIterator[Batch]:
        """Batches as they come, for ever; never two of one partition at once unless the first was committed or
        the next one was asked for."""
        ...

    async def commit(self, partition: int, next_offset: int) -> None:
        """The group has done everything before `next_offset`. Raises NotOwner, LogUnavailable."""
        ...


class Log(Protocol):
    """A connection to the log."""

    async def create(self, topics: Mapping[str, int], *, retention: float) -> None:
        """Create the topics that do not exist, with so many partitions, append time, and retention in seconds.
        A topic that exists keeps its partitions."""
        ...

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises LookupError when there is no such topic."""
        ...

    async def publish(self, topic: str, records: Sequence[Outgoing], *, deadline: float = 30.0) -> None:
        """Durable when it returns, in the order given per partition. Raises LogUnavailable after `deadline` seconds."""
        ...

    def subscribe(
        self, topic: str, group: str, starts: Starts | None = None, lost: Lost | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join a group. Without `starts` it begins at the committed offset, or the oldest record."""
        ...

    async def read(self, topic: str, partition: int, offset: int, limit: int) -> Batch:
        """Up to `limit` records from `offset` on (or from the oldest, if that is later), at once, outside of any group.
        An empty batch when there are none. Raises LookupError, LogUnavailable."""
        ...

    async def lag(self, topic: str, group: str) -> int:
        """Records that the group has not committed yet, over all partitions."""
        ...

    async def close(self) -> None:
        """Flush, leave, disconnect; each with a deadline."""
        ...
