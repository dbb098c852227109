"""Each test of this folder runs over the embedded log and over Kafka."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.runtime.broker import Log
from tests.contracts.places import Place, embedded_place, kafka_place
from tests.kafka_server import kafka_bootstrap  # noqa: F401 - a fixture


@pytest.fixture(params=["embedded", "kafka"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "embedded":
        return embedded_place(tmp_path)
    return kafka_place(request.getfixturevalue("kafka_bootstrap"))


@pytest_asyncio.fixture
async def log(place: Place) -> AsyncIterator[Log]:
    """Open, with the topic of the test in four partitions."""
    async with place.opened() as opened:
        await opened.create({place.topic: 4}, retention=3600.0)
        yield opened
