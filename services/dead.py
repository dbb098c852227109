"""Reading the dead letters, and publishing one again."""

from collections.abc import Sequence
from pathlib import Path

from services.runtime import dead_letters
from services.runtime.broker import DEAD, Log, Outgoing
from services.runtime.clock import WallClock
from services.runtime.connect import open_log
from services.runtime.dead_letters import DeadLetter
from services.runtime.settings import load

TOGETHER = 500
MOST = 10_000


async def letters(
    config: Path, overrides: Sequence[str], *, start: int = 0, limit: int = MOST
) -> list[tuple[int, DeadLetter]]:
    """(number, letter), oldest first, at most `limit`; none where nothing has run yet."""
    log = await open_log(load(config, overrides).log, WallClock(), name="dead")
    try:
        return await _read(log, start, limit)
    except LookupError:
        return []
    finally:
        await log.close()


async def _read(log: Log, start: int, limit: int) -> list[tuple[int, DeadLetter]]:
    out: list[tuple[int, DeadLetter]] = []
    while len(out) < limit:
        batch = await log.read(DEAD, 0, start, min(TOGETHER, limit - len(out)))
        if not batch.records:
            break
        out += [(record.offset, dead_letters.read(record.value)) for record in batch.records]
        start = batch.next_offset
    return out


async def publish_again(config: Path, overrides: Sequence[str], letter: DeadLetter) -> None:
    """To the topic and the partition that it came from."""
    log = await open_log(load(config, overrides).log, WallClock(), name="dead")
    try:
        await log.publish(letter.topic, [Outgoing(letter.value, letter.key, letter.partition)])
    finally:
        await log.close()
