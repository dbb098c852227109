"""What nobody can read goes to the dead letters and the rest flows on; what kills a process is skipped by hand."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from alerting import archive, tables
from classify.sentiment import ScoredMention, Sentiment
from ingest.mention import Mention, encode, mention_id
from services.runtime import dead_letters
from services.runtime.broker import DEAD, MENTIONS, SCORED, Batch, Incoming, Outgoing
from services.runtime.database import Database
from services.runtime.dead_letters import DeadLetter
from services.runtime.embedded import EmbeddedLog
from services.skip import NotNext, _bury
from tests.support.command import Ended, tocsin
from tests.support.http import http_server
from tests.support.running import FeedOnline, Running, configuration, eventually, running

GARBAGE, HALF, NEWS = b"\xff\xfe not a record", b'{"type":"mention","id":"1"}', b'{"type":"tune","notes":"cdefg"}'
"""Bytes, a record that lacks most of its fields, a kind that a later version may write."""


def mention(post: str) -> Mention:
    return Mention(
        id=mention_id("Kometa", post), brand="Kometa", post=post, source="feed:news.example:1", kind="feed",
        text=f"Kometa {post}", names=((1, 7),), collected=time.time(),
    )  # fmt: skip


def scored(post: str) -> ScoredMention:
    return ScoredMention(
        mention=mention(post), language="en", sentiment=Sentiment(0.8, 0.1, 0.1), label="negative", model="m"
    )


@asynccontextmanager
async def log_in(folder: Path) -> AsyncIterator[EmbeddedLog]:
    """Its log, open beside the process that consumes it."""
    log = EmbeddedLog(folder / "tocsin-log.db")
    await log.open()
    await log.create({MENTIONS: 1, SCORED: 1, DEAD: 1}, retention=604_800)
    yield log
    await log.close()


async def command(folder: Path, *arguments: str) -> Ended:
    return await asyncio.to_thread(tocsin, *arguments, "--config", str(folder / "tocsin.yaml"), folder=folder)


def posts(folder: Path) -> list[str]:
    """Texts of the stored mentions."""
    database = Database(f"sqlite:///{folder}/tocsin.db")
    try:
        return sorted(
            row.text for row in database.run_here(lambda c: c.execute(select(tables.mention.c.text)).fetchall())
        )
    finally:
        database.close()


async def reaches(process: Running, folder: Path, *wanted: str) -> None:
    async def are_there() -> bool:
        return posts(folder) == sorted(wanted)

    await eventually(are_there, process)


@pytest.mark.asyncio
async def test_what_nobody_can_read_is_put_aside_and_the_rest_flows_on(tmp_path: Path):
    async with http_server() as server:
        configuration(tmp_path, [FeedOnline(server).url])
        async with running("run", folder=tmp_path) as process, log_in(tmp_path) as log:
            await process.ready()
            await log.publish(MENTIONS, [Outgoing(v) for v in (GARBAGE, HALF, NEWS, encode(mention("one")))])
            await log.publish(SCORED, [Outgoing(v) for v in (GARBAGE, HALF, NEWS, encode(scored("two")))])
            await reaches(process, tmp_path, "Kometa one", "Kometa two")
            # a `mention`, even half of one, is a kind that the alerter does not know
            for topic, dead, skipped in ((MENTIONS, 2, 1), (SCORED, 1, 2)):
                assert await process.metric("tocsin_dead_letters_total", topic=topic, cause="unreadable") == dead
                assert await process.metric("tocsin_records_skipped_total", topic=topic) == skipped
            await the_letters_can_be_read(process, tmp_path)
            busy = await command(tmp_path, "skip", MENTIONS, "0", "4")
            assert busy.returncode == 1
            assert busy.stderr.startswith(f"Process {process.process.pid} consumes the log")
            assert await process.end() == 0
            assert "Traceback" not in process.said


async def the_letters_can_be_read(process: Running, folder: Path) -> None:
    listed = await command(folder, "dead", "list")
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) == 3
    found = [json.loads(line) for line in (await command(folder, "dead", "list", "--json")).stdout.splitlines()]
    places = {(one["topic"], one["partition"], one["value"]) for one in found}
    garbage = GARBAGE.decode("utf-8", "backslashreplace")
    assert places == {(MENTIONS, 0, garbage), (MENTIONS, 0, HALF.decode()), (SCORED, 0, garbage)}
    assert all(one["cause"] for one in found)
    number = next(one["number"] for one in found if (one["topic"], one["value"]) == (MENTIONS, HALF.decode()))
    shown = await command(folder, "dead", "show", str(number))
    assert json.loads(shown.stdout)["value"] == HALF.decode()
    assert "missing required field" in json.loads(shown.stdout)["cause"]
    later = await command(folder, "dead", "list", "--start", "2")
    assert later.stdout == listed.stdout.splitlines(keepends=True)[-1]
    gone = await command(folder, "dead", "show", "99")
    assert (gone.returncode, gone.stderr) == (1, "There is no dead letter 99: see `tocsin dead list`.\n")

    assert (await command(folder, "dead", "replay", str(number))).returncode == 0

    async def came_back() -> bool:
        return await process.metric("tocsin_dead_letters_total", topic=MENTIONS) == 3

    await eventually(came_back, process)
    last = json.loads((await command(folder, "dead", "list", "--json")).stdout.splitlines()[-1])
    assert (last["topic"], last["value"], last["number"]) == (MENTIONS, HALF.decode(), 3)


@pytest.mark.asyncio
async def test_one_record_is_skipped_and_only_if_it_is_the_next(tmp_path: Path):
    async with http_server() as server:
        configuration(tmp_path, [FeedOnline(server).url])
        nothing = await command(tmp_path, "skip", MENTIONS, "0", "0")
        assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1), nothing.stderr
        assert (await command(tmp_path, "dead", "list")).stdout == "There are no dead letters.\n"
        assert (await command(tmp_path, "migrate")).returncode == 0
        async with log_in(tmp_path) as log:
            await log.publish(MENTIONS, [Outgoing(encode(mention(post))) for post in ("deadly", "harmless")])
            await log.publish(SCORED, [Outgoing(encode(scored(post))) for post in ("deadly too", "harmless too")])
            identity = log.identity
        an_alerter_died(tmp_path, identity)
        for topic in (MENTIONS, SCORED):
            await skip_the_first(tmp_path, topic)
        listed = [json.loads(line) for line in (await command(tmp_path, "dead", "list", "--json")).stdout.splitlines()]
        assert [(one["topic"], one["offset"], one["cause"]) for one in listed] == [
            (MENTIONS, 0, "skipped by an operator"),
            (SCORED, 0, "skipped by an operator"),
        ]
        async with running("run", folder=tmp_path) as process:
            await reaches(process, tmp_path, "Kometa harmless", "Kometa harmless too")
            await process.ready()
            assert await process.end() == 0


def an_alerter_died(folder: Path, log: str) -> None:
    """It had taken the partition and got no further."""
    database = Database(f"sqlite:///{folder}/tocsin.db")
    database.run_here(archive.take, 0, 1, log)
    database.close()


async def skip_the_first(folder: Path, topic: str) -> None:
    async def refusal(partition: int, offset: int) -> str:
        said = await command(folder, "skip", topic, str(partition), str(offset))
        assert (said.returncode, said.stdout) == (1, "")
        return said.stderr

    assert await refusal(0, 1) == f"The next record of {topic} partition 0 is 0, not 1.\n"
    assert await refusal(0, 7) == f"There is no record 7 in {topic} partition 0: it ends before 2.\n"
    assert await refusal(3, 0) == f"The topic {topic} has no partition 3.\n"
    done = await command(folder, "skip", topic, "0", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{topic} partition 0 offset 0 is among the dead letters now; reading goes on behind it.\n"
    assert await refusal(0, 0) == f"The next record of {topic} partition 0 is 1, not 0.\n"


def test_other_topics_are_not_skipped(tmp_path: Path):
    configuration(tmp_path, ["http://127.0.0.1:9/feed.xml"])
    said = tocsin("skip", "dead", "0", "0", folder=tmp_path)
    assert said.returncode == 2
    assert "There is no topic 'dead': say mentions or mentions.scored." in " ".join(said.stderr.split())


@pytest.mark.asyncio
async def test_of_a_record_that_was_kept_in_part_nothing_is_published_again(tmp_path: Path):
    configuration(tmp_path, ["http://127.0.0.1:9/feed.xml"])
    cut = DeadLetter(topic=MENTIONS, partition=0, offset=7, key=None, value=b"half", size=9, stamp=0.0, cause="\x1b[2J")
    async with log_in(tmp_path) as log:
        await dead_letters.bury(log, [cut])
        refused = await command(tmp_path, "dead", "replay", "0")
        assert refused.returncode == 1
        assert "Only the first 4 of its 9 bytes were kept" in refused.stderr
        assert (await log.read(MENTIONS, 0, 0, 1)).records == []
    assert (await command(tmp_path, "dead", "list")).stdout == "     0  mentions 0/7   [2J\n"


@pytest.mark.asyncio
async def test_where_a_log_has_gaps_the_record_behind_one_is_not_taken_for_the_one_that_was_named():
    behind = Batch(MENTIONS, 0, [Incoming(5, None, b"", 0.0)], 6, 9)
    with pytest.raises(NotNext, match="is 5, not 4"):
        await _bury(None, None, behind, 4, MENTIONS)  # type: ignore[arg-type]
