"""Every stage a process of its own, over a real Kafka and PostgreSQL; one of them is killed on the way."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import make_url, select

from alerting import tables
from services.runtime.database import Database
from tests.kafka_server import kafka_bootstrap  # noqa: F401 - a fixture
from tests.support.databases import administer
from tests.support.http import Server, http_server
from tests.support.running import FeedOnline, Running, configuration, eventually, refused, running

POSTS = 150
"""In each of the two feeds."""
TAKEOVER = 120.0
"""Kafka waits 30 s for a member that has gone silent; then the others have to take its partitions and score."""
STAGES = ("alerter", "pager", "classifier", "classifier", "collector")
PUBLISHED = 1_770_000_000.0


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """Address of an empty database."""
    name = f"tocsin_pipeline_{os.getpid()}"
    administer(postgres, f"CREATE DATABASE {name}")
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with http_server() as serving:
        yield serving


@dataclass
class Stored:
    """What the database holds of one brand."""

    database: Database
    brand: str

    def labels(self) -> dict[str, str]:
        """Title -> label of every mention."""
        columns = select(tables.mention.c.title, tables.mention.c.label).where(tables.mention.c.brand == self.brand)
        found = self.database.run_here(lambda c: c.execute(columns).fetchall())
        assert len({row.title for row in found}) == len(found), "one post is kept twice"
        return {row.title: row.label for row in found}

    def sightings(self) -> Counter[str]:
        """Source -> how many mentions it showed."""
        of_brand = select(tables.sighting.c.source).join(tables.mention).where(tables.mention.c.brand == self.brand)
        return Counter(self.database.run_here(lambda c: c.execute(of_brand).scalars().all()))


@pytest.mark.asyncio
async def test_every_post_is_kept_once_although_a_classifier_is_killed(
    kafka_bootstrap: str,  # noqa: F811
    database_url: str,
    tmp_path: Path,
    server: Server,
):
    brand = f"Brand{uuid.uuid4().hex[:12]}"
    early, late = feeds = [FeedOnline(server, path) for path in ("/early.xml", "/late.xml")]
    for feed in feeds:
        feed.open.clear()
        for number in range(POSTS):
            feed.say(f"{brand} is in the news of {feed.path}, number {number}", PUBLISHED)
    configuration(
        tmp_path, [feed.url for feed in feeds], brands=[brand],
        log={"url": f"kafka://{kafka_bootstrap}", "partitions": 4}, database={"url": database_url},
    )  # fmt: skip
    code, said = await refused("alerter", folder=tmp_path)
    assert (code, "tocsin migrate" in said, said.count("\n")) == (1, True, 0), said
    assert await refused("migrate", folder=tmp_path) == (0, "")
    stored = Stored(Database(database_url), brand)
    async with AsyncExitStack() as stack:
        stages = [
            await stack.enter_async_context(running(stage, "--name", f"{brand}-{number}", folder=tmp_path))
            for number, stage in enumerate(STAGES)
        ]
        await asyncio.gather(*(stage.ready() for stage in stages))
        victim = await the_first_to_score(early, stages[2:4])
        assert await victim.end(signal.SIGKILL) == -signal.SIGKILL
        late.open.set()  # some of it goes to partitions that the dead one still holds
        survivors = [stage for stage in stages if stage is not victim]

        async def all_are_kept() -> bool:
            ended = [stage for stage in survivors if stage.process.returncode is not None]
            assert not ended, "\n".join(stage.said for stage in ended)
            return len(await asyncio.to_thread(stored.labels)) == 2 * POSTS

        await eventually(all_are_kept, survivors[-2], patience=TAKEOVER)
        codes = await asyncio.gather(*(stage.end() for stage in survivors))
        assert codes == [0] * len(survivors), "\n".join(stage.said for stage in survivors)
        assert not any("Traceback" in stage.said for stage in survivors)
    labels = stored.labels()
    assert labels.keys() == {title for feed in feeds for title, _ in feed.posts}
    assert set(labels.values()) <= {"negative", "neutral", "positive", "unsure"}
    assert sorted(stored.sightings().values()) == [POSTS, POSTS]
    stored.database.close()


async def the_first_to_score(feed: FeedOnline, classifiers: list[Running]) -> Running:
    """Let the feed answer, and see who is at work."""
    feed.open.set()
    busy: list[Running] = []

    async def one_is() -> bool:
        busy.extend([one for one in classifiers if await one.metric("tocsin_mentions_scored_total") > 0])
        return bool(busy)

    await eventually(one_is, classifiers[0])
    return busy[0]
