import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.demo.watched import WatchedLifecycle, WatchedLog
from services.runtime.broker import MENTIONS, Outgoing
from services.runtime.embedded import EmbeddedLog


@asynccontextmanager
async def opened(file: Path, prefix: str = "") -> AsyncIterator[WatchedLog]:
    real = EmbeddedLog(file)
    await real.open()
    log = WatchedLog(real, asyncio.Event(), prefix)
    await log.create({MENTIONS: 3}, retention=3_600.0)
    yield log
    await log.close()


@pytest.mark.asyncio
async def test_the_lag_is_what_was_published_and_is_not_committed(tmp_path: Path) -> None:
    async with opened(tmp_path / "log.db") as log:
        await log.publish(MENTIONS, [Outgoing(b"%d" % i, partition=i % 3) for i in range(30)])
        assert await log.lag(MENTIONS, "readers") == 30
        async with log.subscribe(MENTIONS, "readers") as subscription:
            left = 30
            async for batch in subscription.batches():
                assert batch.topic == MENTIONS
                await subscription.commit(batch.partition, batch.next_offset)
                left -= len(batch.records)
                assert await log.lag(MENTIONS, "readers") == left
                if not left:
                    break
        assert await log.lag(MENTIONS, "others") == 30


@pytest.mark.asyncio
async def test_two_prefixes_share_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "log.db", "one-") as one, opened(tmp_path / "log.db", "two-") as two:
        await one.publish(MENTIONS, [Outgoing(b"x", partition=0)])
        assert [record.value for record in (await one.read(MENTIONS, 0, 0, 10)).records] == [b"x"]
        assert not (await two.read(MENTIONS, 0, 0, 10)).records
        assert await two.lag(MENTIONS, "readers") == 0


@pytest.mark.asyncio
async def test_the_lifecycle_tells_when_something_is_out_of_hand() -> None:
    changed = asyncio.Event()
    lifecycle = WatchedLifecycle(changed, "collector")
    with lifecycle.hold("poll"):
        assert not lifecycle.idle
        assert not changed.is_set()
    assert lifecycle.idle
    assert changed.is_set()
