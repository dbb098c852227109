"""SIGKILL and SIGSTOP: nothing acknowledged is lost, what was not committed comes again, a zombie commits nothing."""

import asyncio
import random
import signal

import pytest

from services.runtime.broker import Busy, Log, Outgoing
from tests.contracts.children import Nest, nest_for
from tests.contracts.places import AnyLog, Place, Starts
from tests.contracts.reading import PATIENCE, Reader, keyed, read_all, take, values
from tests.kafka_server import own_kafka

PUBLISHERS = 5
KILLS = {"embedded": 50, "kafka": 5}
"""Of publishing and of consuming processes each."""
BROKER_KILLS = 2
SOAK = 100


def kills_of(place: Place) -> int:
    return KILLS["embedded" if place.embedded else "kafka"]


async def kill_publishers(nest: Nest, kills: int) -> None:
    """A few publish at once; each is killed after a few acknowledgements, and another takes its place."""
    done = iter(range(kills))

    async def one_after_the_other() -> None:
        for _ in done:
            child = await nest.start("publish")
            await child.says("acknowledged", random.randint(1, 6))
            await child.kill()

    async with asyncio.TaskGroup() as group:
        for _ in range(PUBLISHERS):
            group.create_task(one_after_the_other())


async def kill_consumers(nest: Nest, kills: int, log: AnyLog, topic: str) -> None:
    """While one process publishes, consumers are killed at any moment, one after the other; some after a commit."""
    publisher = await nest.start("publish")
    for number in range(kills):
        before = await committed(log, topic)
        child = await nest.start("consume")
        await child.says("got", random.randint(1, 5))
        while number % 5 == 4 and await committed(log, topic) <= before:
            await asyncio.sleep(0.02)
        await child.kill()
    await publisher.kill()


async def committed(log: AnyLog, topic: str) -> int:
    """How many records the group has done, as another process sees it."""
    return sum(place.committed or 0 for place in await log.bounds(topic, "g"))


def published(nest: Nest) -> set[bytes]:
    """What was acknowledged to the children."""
    return {f"{name}-{i}".encode() for name in nest.all("acknowledged") for i in range(3)}


async def no_publish_lost(log: Log, place: Place, kills: int) -> None:
    async with nest_for(place) as nest:
        await kill_publishers(nest, kills)
    seen: set[bytes] = set()
    async with log.subscribe(place.topic, "g") as subscription, asyncio.timeout(PATIENCE):
        async for batch in subscription.batches():
            seen.update(values([batch]))
            if published(nest) <= seen:
                break


async def no_delivery_lost(log: AnyLog, place: Place, kills: int) -> None:
    async with nest_for(place) as nest:
        await kill_consumers(nest, kills, log, place.topic)
    seen = {value.encode() for value in nest.all("got")}
    again = 0
    async with log.subscribe(place.topic, "g") as subscription, asyncio.timeout(PATIENCE):
        async for batch in subscription.batches():  # what is committed does not come here, so it must have been seen
            seen.update(values([batch]))
            again += len(batch.records)
            await subscription.commit(batch.partition, batch.next_offset)
            if await log.lag(place.topic, "g") == 0:
                break
    assert published(nest) <= seen
    assert again < len(seen)  # else no commit outlived its process, and this has shown nothing


@pytest.mark.asyncio
async def test_nothing_acknowledged_is_lost_by_killing_publishers(log: Log, place: Place) -> None:
    await no_publish_lost(log, place, kills_of(place))


@pytest.mark.asyncio
async def test_nothing_is_skipped_by_killing_consumers(log: AnyLog, place: Place) -> None:
    await no_delivery_lost(log, place, kills_of(place))


@pytest.mark.soak
@pytest.mark.asyncio
async def test_a_hundred_killed_publishers(log: Log, place: Place) -> None:
    await no_publish_lost(log, place, SOAK)


@pytest.mark.soak
@pytest.mark.asyncio
async def test_a_hundred_killed_consumers(log: AnyLog, place: Place) -> None:
    await no_delivery_lost(log, place, SOAK)


@pytest.mark.asyncio
async def test_a_batch_of_a_killed_member_comes_again(log: Log, place: Place) -> None:
    await log.publish(place.topic, keyed(12, keys=1))
    async with nest_for(place) as nest:
        child = await nest.start("hold")
        await child.says("holds")
        await child.kill()
    assert values(await read_all(log, place.topic, "g", 12)) == [record.value for record in keyed(12, keys=1)]


@pytest.mark.asyncio
async def test_a_member_that_slept_too_long_commits_nothing(log: Log, place: Place) -> None:
    await log.publish(place.topic, keyed(12, keys=1))
    async with nest_for(place) as nest:
        child = await nest.start("hold")
        await child.says("holds")
        child.send(signal.SIGSTOP)
        try:
            async with log.subscribe(place.topic, "g") as subscription:
                await take(subscription, 12)
                child.send(signal.SIGCONT)
                await child.says("lost")
                await log.publish(place.topic, keyed(1, name="after"))
        except Busy:  # nobody can take a file's partitions from a process that lives
            assert place.embedded
            child.send(signal.SIGCONT)
            await child.says("committed")
        else:
            assert not place.embedded
    if not place.embedded:
        assert values(await read_all(log, place.topic, "g", 1)) == [b"after-0"]


async def broker_killed(log: Log, place: Place, kills: int) -> None:
    """Publish and read while Kafka is killed and started again."""
    server = own_kafka()
    acknowledged: set[bytes] = set()
    stop = asyncio.Event()

    async def publisher() -> None:
        number = 0
        while not stop.is_set():
            records = [Outgoing(f"{number}-{i}".encode(), partition=i) for i in range(4)]
            await log.publish(place.topic, records, deadline=120.0)
            acknowledged.update(record.value for record in records)
            number += 1

    async with log.subscribe(place.topic, "g", Starts()) as subscription, asyncio.timeout(120 * kills):
        reader, publishing = Reader(subscription), asyncio.create_task(publisher())
        for _ in range(kills):
            known = len(acknowledged)
            while len(acknowledged) < known + 200:
                await asyncio.wait([publishing], timeout=0.05)
                assert not publishing.done()
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
        stop.set()
        await publishing
        while not acknowledged <= set(values(reader.batches)):
            reader.arrived.clear()
            await asyncio.wait(
                [reader.task, asyncio.ensure_future(reader.arrived.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            assert not reader.task.done(), reader.task.result()
        await reader.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["kafka"], indirect=True)
async def test_nothing_acknowledged_is_lost_by_killing_the_broker(log: Log, place: Place) -> None:
    await broker_killed(log, place, BROKER_KILLS)


@pytest.mark.soak
@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["kafka"], indirect=True)
async def test_a_hundred_killed_brokers(log: Log, place: Place) -> None:
    await broker_killed(log, place, SOAK)
