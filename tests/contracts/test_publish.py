"""What is published: order, partitions, bounds of a record, and a log that does not answer."""

import asyncio
import time

import pytest

from services.runtime.broker import MAX_RECORD_BYTES, Log, LogUnavailable, Outgoing
from services.runtime.partition import partition_of
from tests.contracts.places import Place
from tests.contracts.reading import keyed, read_all, values


@pytest.mark.asyncio
async def test_records_of_a_key_stay_in_order_in_the_partition_of_the_key(log: Log, place: Place) -> None:
    async def publisher(name: str) -> None:
        for number in range(20):
            records = [Outgoing(f"{name}-{number:02}-{i}".encode(), name.encode()) for i in range(5)]
            await log.publish(place.topic, records)

    await asyncio.gather(*(publisher(f"key{i}") for i in range(8)))
    batches = await read_all(log, place.topic, "g", 800)
    for i in range(8):
        name = f"key{i}"
        mine = [(b.partition, r.value) for b in batches for r in b.records if r.key == name.encode()]
        assert {partition for partition, _ in mine} == {partition_of(name.encode(), 4)}
        assert [value for _, value in mine] == sorted(value for _, value in mine)
        assert len(mine) == 100


@pytest.mark.asyncio
async def test_a_given_partition_wins_and_keyless_records_of_one_call_stay_in_order(log: Log, place: Place) -> None:
    await log.publish(place.topic, [Outgoing(b"given", b"key", partition=p) for p in range(4)])
    await log.publish(place.topic, [Outgoing(str(i).encode()) for i in range(50)])
    batches = await read_all(log, place.topic, "g", 54)
    assert {b.partition for b in batches if b"given" in values([b])} == {0, 1, 2, 3}
    keyless = [v for v in values(batches) if v != b"given"]
    assert keyless == [str(i).encode() for i in range(50)]


@pytest.mark.asyncio
async def test_offsets_follow_each_other_and_records_are_stamped(log: Log, place: Place) -> None:
    before = time.time()
    await log.publish(place.topic, keyed(100, keys=1))
    (batch,) = await read_all(log, place.topic, "g", 100)
    assert [record.offset for record in batch.records] == list(range(100))
    assert batch.next_offset == batch.end == 100
    assert batch.lag == 0
    assert all(before - 1 <= record.stamp <= time.time() + 1 for record in batch.records)


@pytest.mark.asyncio
async def test_batches_are_bounded_and_tell_what_comes_after_them(log: Log, place: Place) -> None:
    await log.publish(place.topic, keyed(2_500, keys=1))
    batches = await read_all(log, place.topic, "g", 2_500)
    assert values(batches) == [record.value for record in keyed(2_500, keys=1)]
    assert max(len(batch.records) for batch in batches) <= 1_000
    assert batches[-1].lag == 0
    assert all(b.lag == b.end - b.next_offset for b in batches)


@pytest.mark.asyncio
async def test_the_largest_record_passes_and_a_larger_one_is_refused(log: Log, place: Place) -> None:
    largest = Outgoing(bytes(MAX_RECORD_BYTES - 1), b"k")
    await log.publish(place.topic, [largest])
    with pytest.raises(ValueError, match="too large"):
        await log.publish(place.topic, [Outgoing(bytes(MAX_RECORD_BYTES), b"k")])
    with pytest.raises(ValueError, match="no partition 4"):
        await log.publish(place.topic, [Outgoing(b"", partition=4)])
    assert values(await read_all(log, place.topic, "g", 1)) == [largest.value]


@pytest.mark.asyncio
async def test_records_are_read_outside_of_any_group(log: Log, place: Place) -> None:
    await log.publish(place.topic, [Outgoing(str(i).encode(), partition=1) for i in range(30)])
    found = await log.read(place.topic, 1, 10, 5)
    assert [(r.offset, r.value) for r in found.records] == [(i, str(i).encode()) for i in range(10, 15)]
    assert (found.next_offset, found.end) == (15, 30)
    empty = await log.read(place.topic, 1, 30, 5)
    assert (list(empty.records), empty.next_offset, empty.end) == ([], 30, 30)
    assert not (await log.read(place.topic, 0, 0, 5)).records
    assert await log.lag(place.topic, "g") == 30
    with pytest.raises(LookupError, match="no partition 4"):
        await log.read(place.topic, 4, 0, 1)


@pytest.mark.asyncio
async def test_an_unknown_topic_is_named(log: Log) -> None:
    for attempt in (log.partitions("nowhere"), log.publish("nowhere", keyed(1)), log.lag("nowhere", "g")):
        with pytest.raises(LookupError, match="nowhere"):
            await attempt
    with pytest.raises(LookupError, match="nowhere"):
        async with log.subscribe("nowhere", "g"):
            pass


@pytest.mark.asyncio
async def test_creating_a_topic_again_keeps_its_partitions(log: Log, place: Place) -> None:
    await log.create({place.topic: 9, place.topic + "-2": 3}, retention=60.0)
    assert await log.partitions(place.topic) == 4
    assert await log.partitions(place.topic + "-2") == 3


@pytest.mark.asyncio
async def test_publishing_nothing_is_done_at_once(log: Log, place: Place) -> None:
    await log.publish(place.topic, [])
    assert await log.lag(place.topic, "g") == 0


@pytest.mark.asyncio
async def test_publish_fails_by_its_deadline_while_the_log_is_away_and_works_afterwards(log: Log, place: Place) -> None:
    await log.publish(place.topic, keyed(1, name="before"))
    async with place.away():
        began = time.monotonic()
        failed = await asyncio.gather(
            *(log.publish(place.topic, keyed(3, name=f"during{i}"), deadline=1.0) for i in range(5)),
            return_exceptions=True,
        )
        assert time.monotonic() - began < 3.0
        assert all(isinstance(fault, LogUnavailable) for fault in failed)
        assert all(str(fault).count(".") >= 1 for fault in failed)
        patient = asyncio.create_task(log.publish(place.topic, keyed(2, name="patient"), deadline=60.0))
        await asyncio.sleep(0)
    await patient
    await log.publish(place.topic, keyed(1, name="after"), deadline=60.0)
    seen: list[bytes] = []
    async with log.subscribe(place.topic, "g") as subscription, asyncio.timeout(60):
        async for batch in subscription.batches():
            seen += values([batch])
            if {b"before-0", b"patient-0", b"patient-1", b"after-0"} <= set(seen):
                break
