"""Reading the dead letters, and publishing one again."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from services.runtime import dead_letters
from services.runtime.broker import DEAD, Outgoing
from services.runtime.clock import WallClock
from services.runtime.connect import open_log
from services.runtime.dead_letters import DeadLetter
from services.runtime.settings import load

TOGETHER = 50


async def letters(
    config: Path, overrides: Sequence[str], *, start: int = 0, together: int = TOGETHER
) -> AsyncIterator[tuple[int, DeadLetter]]:
    """(number, letter) from `start` on, oldest first, `together` in memory at once; none where nothing has run yet."""
    log = await open_log(load(config, overrides).log, WallClock(), name="dead")
    try:
        while True:
            batch = await log.read(DEAD, 0, start, together)
            for record in batch.records:
                yield record.offset, dead_letters.read(record.value)
            if not batch.records:
                return
            start = batch.next_offset
    except LookupError:
        return
    finally:
        await log.close()


async def publish_again(config: Path, overrides: Sequence[str], letter: DeadLetter) -> None:
    """To the topic and the partition that it came from. Raises ValueError for one that was kept in part only."""
    if letter.size > len(letter.value):
        raise ValueError(
            f"Only the first {len(letter.value)} of its {letter.size} bytes were kept: it cannot be read again."
        )
    log = await open_log(load(config, overrides).log, WallClock(), name="dead")
    try:
        await log.publish(letter.topic, [Outgoing(letter.value, letter.key, letter.partition)])
    finally:
        await log.close()
