"""What only the embedded log does: one file, one consuming process, a clock of its own, and disks that fail."""

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime.broker import Busy, LogUnavailable, Outgoing
from services.runtime.embedded import EmbeddedLog
from tests.contracts.reading import keyed, read_all, take, values


async def opened(path: Path, **more: object) -> EmbeddedLog:
    log = EmbeddedLog(path, **more)  # type: ignore[arg-type]
    await log.open()
    await log.create({"t": 2}, retention=100.0)
    return log


@pytest.mark.asyncio
async def test_the_second_consuming_process_is_told_of_the_first(tmp_path: Path) -> None:
    first, second = await opened(tmp_path / "log.db"), await opened(tmp_path / "log.db")
    async with first.subscribe("t", "g"):
        with pytest.raises(
            Busy, match=rf"^Process {os.getpid()} consumes the log .*log.db since 2.*, and only one may: "
        ):
            async with second.subscribe("t", "h"):
                pass
        await second.publish("t", keyed(3))
        assert await second.lag("t", "g") == 3
    async with second.subscribe("t", "g") as subscription:
        await take(subscription, 3)
    await first.close()
    await second.close()


@pytest.mark.asyncio
async def test_records_carry_the_clocks_time_and_retention_goes_by_it(tmp_path: Path) -> None:
    now = 1000.0
    log = await opened(tmp_path / "log.db", now=lambda: now)
    await log.publish("t", [Outgoing(b"old", partition=0)])
    now = 1050.0
    await log.publish("t", [Outgoing(b"young", partition=0)])
    (batch,) = await read_all(log, "t", "g", 2)
    assert [record.stamp for record in batch.records] == [1000.0, 1050.0]
    now = 1101.0
    assert await log.sweep() == 1
    (told, _) = await log.bounds("t", "g")
    assert (told.begin, told.end) == (1, 2)
    await log.close()


@pytest.mark.asyncio
async def test_retention_never_passes_a_group_even_one_that_has_committed_nothing(tmp_path: Path) -> None:
    now = 0.0
    log = await opened(tmp_path / "log.db", now=lambda: now)
    await log.publish("t", keyed(10, keys=1))
    async with log.subscribe("t", "slow"):
        pass
    await read_all(log, "t", "fast", 10)
    now = 1e6
    assert await log.sweep() == 0
    async with log.subscribe("t", "slow") as subscription:
        (batch,) = await take(subscription, 10, commit=False)
        await subscription.commit(batch.partition, 4)
    assert await log.sweep() == 4
    await log.close()


@pytest.mark.asyncio
async def test_without_groups_retention_is_by_age_alone_and_goes_on_where_offsets_were(tmp_path: Path) -> None:
    now = 0.0
    log = await opened(tmp_path / "log.db", now=lambda: now)
    await log.publish("t", keyed(12_000, keys=1))
    now = 101.0
    swept = [await log.sweep() for _ in range(4)]
    assert sum(swept) == 12_000
    assert max(swept) <= 5_000
    await log.close()
    log = await opened(tmp_path / "log.db", now=lambda: now)
    await log.publish("t", keyed(1, keys=1))
    (batch,) = await read_all(log, "t", "g", 1)
    assert batch.records[0].offset == 12_000
    await log.close()


@pytest.mark.asyncio
async def test_identity_and_commits_outlive_the_process(tmp_path: Path) -> None:
    log = await opened(tmp_path / "log.db")
    await log.publish("t", keyed(10))
    await read_all(log, "t", "g", 10)
    identity = log.identity
    await log.close()
    log = await opened(tmp_path / "log.db")
    assert log.identity == identity
    assert await log.lag("t", "g") == 0
    await log.close()
    other = await opened(tmp_path / "other.db")
    assert other.identity != identity
    await other.close()


@pytest.mark.asyncio
async def test_a_large_batch_is_cut_by_bytes(tmp_path: Path) -> None:
    log = await opened(tmp_path / "log.db")
    await log.publish("t", [Outgoing(bytes(900_000), partition=0) for _ in range(9)])
    batches = await read_all(log, "t", "g", 9)
    assert [len(batch.records) for batch in batches] == [5, 4]
    assert [batch.lag for batch in batches] == [4, 0]
    await log.close()


SEVERAL = """
import asyncio, sys
from services.runtime.broker import Outgoing
from services.runtime.embedded import EmbeddedLog

async def main():
    log = EmbeddedLog(sys.argv[1])
    await log.open()
    await log.create({"t": 2}, retention=100.0)
    for i in range(5):
        await log.publish("t", [Outgoing(b"%s-%d" % (sys.argv[2].encode(), i))])
    await log.close()

asyncio.run(main())
"""


@pytest.mark.asyncio
async def test_several_processes_make_and_open_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.db"
    started = [
        subprocess.Popen([sys.executable, "-c", SEVERAL, path, str(i)], stderr=subprocess.PIPE) for i in range(6)
    ]
    for process in started:
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 0, said.decode()
    log = await opened(path)
    assert len(set(values(await read_all(log, "t", "g", 30)))) == 30
    await log.close()


def not_a_database(path: Path) -> None:
    path.write_bytes(b"brands: []\n" * 500)


def another_program(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE contacts (name TEXT)")


def a_newer_version(path: Path) -> None:
    asyncio.run(make(path))
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version=99")


async def make(path: Path) -> None:
    await (await opened(path)).close()


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (not_a_database, "is not a log of Tocsin: name another file"),
        (another_program, "belongs to another program: name another file"),
        (a_newer_version, "was written by a newer Tocsin: install that version"),
        (a_folder, "cannot be opened: check that the folder exists"),
    ],
)
def test_a_file_that_is_no_log_is_refused_in_a_sentence(tmp_path: Path, spoil, sentence: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "log.db"
    spoil(path)
    with pytest.raises(LogUnavailable, match=sentence):
        asyncio.run(make(path))


def test_a_folder_that_is_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(LogUnavailable, match=r"cannot be used: File exists"):
        asyncio.run(make(tmp_path / "data" / "log.db"))


@pytest.mark.asyncio
async def test_a_full_disk_fails_at_once_and_publishing_goes_on_when_there_is_room(tmp_path: Path) -> None:
    log = await opened(tmp_path / "log.db")
    await log.publish("t", keyed(10, name="before"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        with pytest.raises(LogUnavailable, match=r"disk of the log .*log\.db .*space"):
            await log.publish("t", [Outgoing(bytes(900_000))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await log.publish("t", keyed(10, name="after"))
    assert len(values(await read_all(log, "t", "g", 20))) == 20
    await log.close()
