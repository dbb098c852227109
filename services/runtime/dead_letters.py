"""Records that nobody can read: kept in the topic `dead` with where they stood and why; the rest flows on."""

from collections.abc import Sequence

import msgspec

from services.runtime.broker import DEAD, Batch, Incoming, Log, Outgoing

LONGEST = 700_000
"""Bytes of a record that are kept: base64 adds a third, and the log takes 1,000,000."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One record that could not be processed."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    """As it was; base64 on the wire. Of a record that would not fit again, the first `LONGEST` bytes."""
    size: int = 0
    """Bytes of the whole record."""
    stamp: float
    cause: str


def letter(batch: Batch, record: Incoming, cause: str) -> DeadLetter:
    """The record with its place and the cause."""
    return DeadLetter(
        topic=batch.topic,
        partition=batch.partition,
        offset=record.offset,
        key=record.key,
        value=record.value[:LONGEST],
        size=len(record.value),
        stamp=record.stamp,
        cause=cause,
    )


async def bury(log: Log, letters: Sequence[DeadLetter]) -> None:
    """Publish them; durable when it returns."""
    if letters:
        await log.publish(DEAD, [Outgoing(msgspec.json.encode(one), partition=0) for one in letters])


def read(value: bytes) -> DeadLetter:
    """What `bury` wrote."""
    return msgspec.json.decode(value, type=DeadLetter)
