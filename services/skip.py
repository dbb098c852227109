"""Past a record that kills the process: it goes to the dead letters, and the group's place moves behind it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, select, update

from alerting import tables as t
from alerting.archive import NEW
from services.runtime import dead_letters
from services.runtime.broker import SCORED, Assigned, Batch, Log
from services.runtime.clock import WallClock
from services.runtime.connect import open_log
from services.runtime.database import Database
from services.runtime.settings import Settings, load

PATIENCE = 30.0


class NotNext(Exception):
    """The record is not the one that is read next, or there is none; the message says what is so."""


async def skip_record(
    config: Path, overrides: Sequence[str], topic: str, group: str, partition: int, offset: int
) -> str:
    """Bury one record and commit behind it; returns a sentence that says so. Raises NotNext."""
    settings = load(config, overrides)
    log = await open_log(settings.log, WallClock(), name="skip")
    database = Database(settings.database.url)
    try:
        await _look(log, topic, partition, offset)
        async with asyncio.timeout(PATIENCE):
            await _skip(settings, log, database, topic, group, partition, offset)
    except TimeoutError as fault:
        raise NotNext(
            f"Nothing was read from {topic} partition {partition} within {PATIENCE:.0f} s: "
            "another process of that group has it. Stop it first."
        ) from fault
    finally:
        await log.close()
        database.close()
    return f"{topic} partition {partition} offset {offset} is among the dead letters now; reading goes on behind it."


async def _look(log: Log, topic: str, partition: int, offset: int) -> None:
    """Say at once that there is no such record."""
    try:
        found = await log.read(topic, partition, offset, 1)
    except LookupError as fault:
        raise NotNext(fault.args[0]) from fault
    if not found.records:
        raise NotNext(f"There is no record {offset} in {topic} partition {partition}: it ends before {found.end}.")


async def _skip(
    settings: Settings, log: Log, database: Database, topic: str, group: str, partition: int, offset: int
) -> None:
    """Join the group, and of the partition take one record."""

    async def starts(assigned: Sequence[Assigned]) -> dict[int, int]:
        out = {}
        for one in assigned:
            place = one.begin if one.committed is None else one.committed
            if topic == SCORED and one.partition == partition:
                stored = await database.run(_stored_offset, partition)
                place = place if stored is None else stored
            if one.partition == partition and place != offset:
                raise NotNext(f"The next record of {topic} partition {partition} is {place}, not {offset}.")
            out[one.partition] = place
        return out

    async with log.subscribe(topic, group, starts) as subscription:
        async for batch in subscription.batches():
            if batch.partition == partition:
                await _bury(log, database, batch, offset, topic)
                await subscription.commit(partition, offset + 1)
                return


async def _bury(log: Log, database: Database, batch: Batch, offset: int, topic: str) -> None:
    record = batch.records[0]
    if record.offset != offset:
        raise NotNext(f"The next record of {topic} partition {batch.partition} is {record.offset}, not {offset}.")
    await dead_letters.bury(log, [dead_letters.letter(batch, record, "skipped by an operator")])
    if topic == SCORED:
        await database.run(_move, batch.partition, offset)


def _stored_offset(connection: Connection, /, partition: int) -> int | None:
    stored = connection.execute(select(t.progress.c.next_offset).where(t.progress.c.partition == partition)).scalar()
    return None if stored == NEW else stored


def _move(connection: Connection, /, partition: int, offset: int) -> None:
    connection.execute(
        update(t.progress)
        .where(t.progress.c.partition == partition, t.progress.c.next_offset.in_((offset, NEW)))
        .values(next_offset=offset + 1, epoch=t.progress.c.epoch + 1)
    )
