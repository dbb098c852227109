"""`tocsin run` as a process: over a real feed, the log and the database in files beside its configuration."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.command import ROOT
from tests.support.http import http_server
from tests.support.running import FeedOnline, Running, configuration, eventually, refused, running

MANY = 200
NO_MOUNT = "needs a file system of its own: run as root where `mount -t tmpfs` is allowed"


@pytest_asyncio.fixture
async def feed() -> AsyncIterator[FeedOnline]:
    async with http_server() as server:
        yield FeedOnline(server)


@pytest.fixture
def folder(tmp_path: Path, feed: FeedOnline) -> Path:
    configuration(tmp_path, [feed.url])
    return tmp_path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(NO_MOUNT)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(folder / "tocsin.db", timeout=30)
    try:
        found = database.execute(statement).fetchall()
        database.commit()
        return found
    finally:
        database.close()


async def stored(folder: Path, number: int, process: Running) -> None:
    async def are_there() -> bool:
        return rows(folder, "SELECT count(*) FROM mention") == [(number,)]

    await eventually(are_there, process)


async def asked_again(feed: FeedOnline, times: int, process: Running) -> None:
    async def was_asked() -> bool:
        return len(feed.asked) >= times

    await eventually(was_asked, process)


def due_now(folder: Path) -> None:
    """As if the interval between two polls were over."""
    rows(folder, "UPDATE source SET next_due = 0")


@pytest.mark.asyncio
async def test_a_post_is_kept_with_its_label_and_a_restart_asks_politely(folder: Path, feed: FeedOnline):
    feed.say("Kometa destroyed my order and nobody answers, I am furious", time.time() - 3_600)
    async with running("run", folder=folder) as first:
        await first.ready()
        await stored(folder, 1, first)
        began = time.monotonic()
        assert await first.end() == 0, first.said
        assert time.monotonic() - began < 20
    ((label, language, history),) = rows(folder, "SELECT label, language, history FROM mention")
    assert (label, language, history) == ("negative", "en", 1)
    assert rows(folder, "SELECT m.source = s.source FROM mention m JOIN sighting s ON s.mention = m.id") == [(1,)]
    assert len(feed.asked) == 1

    due_now(folder)
    async with running("run", folder=folder) as second:
        await asked_again(feed, 2, second)
        assert feed.asked[-1].headers["if-none-match"] == '"1"'
        await second.ready()
        assert await second.end() == 0
    assert rows(folder, "SELECT last_reason FROM source") == [("unchanged",)]

    feed.say("Kometa is wonderful, best coffee in town", time.time())
    due_now(folder)
    async with running("run", folder=folder) as third:
        await stored(folder, 2, third)
        await third.ready()

        async def counted() -> bool:
            return await third.metric("tocsin_mentions_total", brand="Kometa") == 1

        await eventually(counted, third)
        assert await third.metric("tocsin_mentions_not_counted_total") == 0, "the first one came again"
        assert await third.end() == 0
    assert rows(folder, "SELECT count(*) FROM sighting") == [(2,)]
    assert rows(folder, "SELECT count(*) FROM poll WHERE answered") >= [(2,)]


@pytest.mark.asyncio
async def test_killed_in_the_middle_it_loses_nothing_and_keeps_nothing_twice(folder: Path, feed: FeedOnline):
    async with running("run", folder=folder) as first:
        await asked_again(feed, 1, first)
        await first.ready()
        assert await first.end() == 0
    for number in range(MANY):
        feed.say(f"Post {number} about Kometa and what happened there on day {number}", time.time() + 1)
    due_now(folder)

    async with running("run", folder=folder) as killed:
        await asked_again(feed, 2, killed)
        assert await killed.end(signal.SIGKILL) == -signal.SIGKILL
    async with running("run", folder=folder) as killed:  # its lease on the feed is free at once: it has come back
        await asked_again(feed, 3, killed)

        async def some_are_scored() -> bool:
            return await killed.metric("tocsin_mentions_scored_total") > 0

        await eventually(some_are_scored, killed)
        assert await killed.end(signal.SIGKILL) == -signal.SIGKILL
    async with running("run", folder=folder) as last:
        await stored(folder, MANY, last)
        await last.ready()
        assert await last.end() == 0
    assert rows(folder, "SELECT count(*), count(DISTINCT title) FROM mention WHERE NOT history") == [(MANY, MANY)]
    assert rows(folder, "SELECT count(*) FROM sighting") == [(MANY,)]


@pytest.mark.asyncio
async def test_only_one_runs_in_a_folder(folder: Path, feed: FeedOnline):
    async with running("run", folder=folder) as first:
        await first.ready()
        (same_port, said), (same_log, who) = await asyncio.gather(
            refused("run", "--set", f"http.listen={first.listen}", folder=folder),
            refused("run", "--set", "http.listen=127.0.0.1:0", folder=folder),
        )
        assert same_port == same_log == 1
        assert said == (
            f"Cannot listen on {first.listen} (Address already in use): stop the other program, "
            "or choose another address with --set http.listen=HOST:PORT."
        )
        assert who.startswith(f"Process {first.process.pid} consumes the log {folder}/tocsin-log.db since "), who
        assert "\n" not in who
        assert (await first.get("/readyz")).status_code == 200
        assert await first.end() == 0


@pytest.mark.asyncio
async def test_without_kafka_it_says_so(folder: Path):
    began = time.monotonic()
    code, said = await refused("run", "--set", "log.url=kafka://127.0.0.1:1", folder=folder)
    assert (code, said.count("\n")) == (1, 0), said
    assert said.startswith("Kafka at 127.0.0.1:1 failed: ")
    assert time.monotonic() - began < 40


@pytest.mark.asyncio
async def test_without_its_model_it_asks_nobody(folder: Path, feed: FeedOnline, tmp_path: Path):
    code_folder = damaged_copy(tmp_path / "code")
    (missing, no_folder), (damaged, unreadable) = await asyncio.gather(
        refused("run", "--set", "model.name=./nowhere", "--set", "http.listen=127.0.0.1:0", folder=folder),
        refused("run", "--set", "log.url=embedded:other.db", "--set", "database.url=sqlite:///other-tocsin.db",
                "--set", "http.listen=127.0.0.1:0", folder=folder, code=str(code_folder)),
    )  # fmt: skip
    assert (missing, no_folder.count("\n")) == (1, 0), no_folder
    assert "nowhere" in no_folder or "tocsin[transformer]" in no_folder
    assert (damaged, unreadable.count("\n")) == (1, 0), unreadable
    assert unreadable.startswith(f"The model in {code_folder}/classify/bundle cannot be read")
    assert feed.asked == []


def damaged_copy(place: Path) -> Path:
    """The program with the second half of its model cut off."""
    place.mkdir()
    for package in ("services", "alerting", "ingest"):
        (place / package).symlink_to(Path(ROOT) / package)
    shutil.copytree(Path(ROOT) / "classify", place / "classify", ignore=shutil.ignore_patterns("training"))
    os.truncate(place / "classify/bundle/model.onnx", 1_000_000)
    return place


@pytest.mark.asyncio
async def test_tables_of_another_version_are_left_alone(folder: Path):
    (code, _) = await refused("migrate", folder=folder)
    assert code == 0
    rows(folder, "UPDATE alembic_version SET version_num = 'from-2031'")
    for command in ("run", "pager"):
        code, said = await refused(command, "--set", "http.listen=127.0.0.1:0", folder=folder)
        assert (code, said.count("\n")) == (1, 0), said
        assert f"The database sqlite:///{folder}/tocsin.db " in said
        assert "from-2031" in said
    assert rows(folder, "SELECT version_num FROM alembic_version") == [("from-2031",)]


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_written_is_named(small_disk: Path, feed: FeedOnline, folder: Path):
    disk = small_disk
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    (log, of_log), (database, of_database) = await asyncio.gather(
        refused("run", "--set", f"log.url=embedded:{disk}/log.db", folder=folder),
        refused("run", "--set", f"database.url=sqlite:///{disk}/tocsin.db", folder=folder),
    )
    assert (log, database) == (1, 1)
    assert of_log == f"The log {disk}/log.db cannot be used: Read-only file system."
    assert of_database.startswith(f"The database sqlite:///{disk}/tocsin.db failed: unable to open database file")
    assert "\n" not in of_database


@pytest.mark.asyncio
async def test_a_full_disk_is_waited_out(small_disk: Path, feed: FeedOnline, folder: Path):
    places = (f"log.url=embedded:{small_disk}/log.db", f"database.url=sqlite:///{small_disk}/tocsin.db")
    for number in range(50):
        feed.say(f"Kometa, part {number}: " + "it was a long day and " * 200, time.time())
    feed.open.clear()
    async with running("run", *(word for place in places for word in ("--set", place)), folder=folder) as process:
        await process.ready()
        await asked_again(feed, 1, process)
        fill(small_disk / "ballast")
        feed.open.set()

        async def is_visible() -> bool:
            failures = [await process.metric(f"tocsin_{part}_failures_total") for part in ("log", "database")]
            return sum(failures) > 0

        await eventually(is_visible, process)
        (small_disk / "ballast").unlink()
        await stored(small_disk, 50, process)
        assert await process.end() == 0
    assert "Traceback" not in process.said


def fill(file: Path) -> None:
    """Until nothing is left."""
    with file.open("wb", buffering=0) as ballast:
        for size in (65_536, 4_096, 1):
            try:
                while ballast.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
