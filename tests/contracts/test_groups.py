"""Groups: sharing, taking over, beginning where it was said, committing only what one owns."""

import asyncio
from collections.abc import Sequence

import pytest

from services.runtime.broker import Assigned, Log, NotOwner, Outgoing, OutOfBounds
from tests.contracts.places import Place, Starts
from tests.contracts.reading import PATIENCE, Reader, keyed, read_all, take, values


def everywhere(word: str) -> list[Outgoing]:
    """One record for each of the four partitions."""
    return [Outgoing(f"{word}-{p}".encode(), partition=p) for p in range(4)]


@pytest.mark.asyncio
async def test_two_members_share_and_one_takes_over_when_the_other_leaves(log: Log, place: Place) -> None:
    async with log.subscribe(place.topic, "g") as one, asyncio.timeout(PATIENCE):
        first = Reader(one)
        async with log.subscribe(place.topic, "g") as two:
            second = Reader(two)
            number = 0
            while len(first.partitions & second.partitions) > 0 or len(second.partitions) != 2:
                first.batches.clear()
                second.batches.clear()
                await log.publish(place.topic, everywhere(f"shared{number}"))
                while {b.partition for b in first.batches + second.batches} != {0, 1, 2, 3}:
                    await first_of(first, second)
                number += 1
            await second.stop()
        first.batches.clear()
        await log.publish(place.topic, everywhere("alone"))
        while {v for v in values(first.batches) if v.startswith(b"alone")} != {b"alone-%d" % p for p in range(4)}:
            await first_of(first)
        await first.stop()
    assert await log.lag(place.topic, "g") == 0


async def first_of(*readers: Reader) -> None:
    """Until one of them gets something."""
    for reader in readers:
        reader.arrived.clear()
    waiting = [asyncio.create_task(reader.arrived.wait()) for reader in readers]
    await asyncio.wait([*waiting, *(reader.task for reader in readers)], return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    for reader in readers:
        if reader.task.done():
            reader.task.result()


@pytest.mark.asyncio
async def test_each_group_gets_everything(log: Log, place: Place) -> None:
    await log.publish(place.topic, keyed(50))
    for group in ("a", "b"):
        assert sorted(values(await read_all(log, place.topic, group, 50))) == sorted(r.value for r in keyed(50))


@pytest.mark.asyncio
async def test_a_batch_in_hand_is_waited_for_before_its_partition_moves(log: Log, place: Place) -> None:
    await log.publish(place.topic, [Outgoing(b"x", partition=3)])  # the embedded log moves the last ones
    async with log.subscribe(place.topic, "g") as one, asyncio.timeout(PATIENCE):
        held = await anext(one.batches())
        joined = asyncio.Event()
        second: list[Reader] = []

        async def join() -> None:
            async with log.subscribe(place.topic, "g") as two:
                second.append(Reader(two))
                joined.set()
                await second[0].task

        joining = asyncio.create_task(join())
        await asyncio.wait([joining], timeout=0.7)  # so long the work on the batch takes
        await one.commit(held.partition, held.next_offset)
        first = Reader(one)
        await joined.wait()
        await log.publish(place.topic, everywhere("y"))
        expected = {b"x"} | {f"y-{p}".encode() for p in range(4)}
        while {*values([held]), *values(first.batches), *values(second[0].batches)} != expected:
            await first_of(first, *second)
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
        await first.stop()
        assert held.records[0].value not in values(first.batches + second[0].batches)


@pytest.mark.asyncio
async def test_nothing_is_delivered_before_starts_has_answered(log: Log, place: Place) -> None:
    await log.publish(place.topic, keyed(100))
    starts = Starts(seconds=2.0)
    async with log.subscribe(place.topic, "g", starts) as subscription, asyncio.timeout(PATIENCE):
        seen = 0
        async for batch in subscription.batches():
            assert starts.answered.is_set()
            seen += len(batch.records)
            if seen == 100:
                break


@pytest.mark.asyncio
async def test_starts_is_told_the_bounds_and_its_answer_counts(log: Log, place: Place) -> None:
    await log.publish(place.topic, [Outgoing(str(i).encode(), partition=0) for i in range(10)])
    async with log.subscribe(place.topic, "g", first := Starts({0: 4})) as subscription:
        (batch,) = await take(subscription, 6, commit=False)
        assert batch.records[0].offset == 4
        await subscription.commit(0, 7)
    async with log.subscribe(place.topic, "g", second := Starts()) as subscription:
        (batch,) = await take(subscription, 3)
        assert [record.value for record in batch.records] == [b"7", b"8", b"9"]
    identity = first.told[0].identity
    assert identity
    assert first.told == {p: Assigned(p, 0, 10 if p == 0 else 0, None, identity) for p in range(4)}
    assert second.told[0] == Assigned(0, 0, 10, 7, identity)
    async with place.opened() as other, other.subscribe(place.topic, "h", third := Starts()) as subscription:
        await take(subscription, 10)
    assert third.told[0].identity == identity


@pytest.mark.asyncio
async def test_an_exception_in_starts_reaches_the_reader(log: Log, place: Place) -> None:
    await log.publish(place.topic, keyed(10))

    async def starts(assigned: Sequence[Assigned]) -> dict[int, int]:
        raise RuntimeError("the database is away")

    async with log.subscribe(place.topic, "g", starts) as subscription, asyncio.timeout(PATIENCE):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="the database is away"):
                await anext(subscription.batches())
    assert await log.lag(place.topic, "g") == 10


@pytest.mark.asyncio
@pytest.mark.parametrize("offset", [11, -1, 10**9])
async def test_a_start_outside_the_log_is_refused(log: Log, place: Place, offset: int) -> None:
    await log.publish(place.topic, [Outgoing(b"", partition=2) for _ in range(10)])
    async with log.subscribe(place.topic, "g", Starts({2: offset})) as subscription, asyncio.timeout(PATIENCE):
        with pytest.raises(OutOfBounds, match=f"partition 2 .* offset {offset}.* 0 to 10"):
            await anext(subscription.batches())


@pytest.mark.asyncio
async def test_what_was_not_committed_is_delivered_again(log: Log, place: Place) -> None:
    await log.publish(place.topic, keyed(40))
    async with log.subscribe(place.topic, "g") as subscription:
        await take(subscription, 40, commit=False)
    assert len(values(await read_all(log, place.topic, "g", 40))) == 40
    await log.publish(place.topic, [Outgoing(b"new", b"key-0")])
    assert values(await read_all(log, place.topic, "g", 1)) == [b"new"]


@pytest.mark.asyncio
async def test_only_what_one_was_given_can_be_committed(log: Log, place: Place) -> None:
    await log.publish(place.topic, [Outgoing(b"", partition=1) for _ in range(10)])
    async with log.subscribe(place.topic, "g") as subscription:
        (batch,) = await take(subscription, 10, commit=False)
        with pytest.raises(NotOwner):
            await subscription.commit(1, 11)
        await subscription.commit(1, 10)
    with pytest.raises(NotOwner):
        await subscription.commit(1, batch.next_offset)


@pytest.mark.asyncio
async def test_a_partition_that_moved_cannot_be_committed(log: Log, place: Place) -> None:
    await log.publish(place.topic, everywhere("x"))
    async with log.subscribe(place.topic, "g") as one, asyncio.timeout(PATIENCE):
        reading = one.batches()
        taken: dict[int, int] = {}
        while len(taken) < 4:
            batch = await anext(reading)
            taken[batch.partition] = batch.next_offset
        waiting = asyncio.ensure_future(anext(reading))  # asks for the next, so it holds nothing
        async with log.subscribe(place.topic, "g") as two:
            moved = {batch.partition for batch in await take(two, 2)}
            assert len(moved) == 2
            for partition in moved:
                with pytest.raises(NotOwner):
                    await one.commit(partition, taken[partition])
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.asyncio
async def test_lag_counts_what_is_not_committed(log: Log, place: Place) -> None:
    assert await log.lag(place.topic, "g") == 0
    await log.publish(place.topic, keyed(30, keys=1))
    assert await log.lag(place.topic, "g") == 30
    async with log.subscribe(place.topic, "g") as subscription:
        (batch,) = await take(subscription, 30, commit=False)
        assert await log.lag(place.topic, "g") == 30
        await subscription.commit(batch.partition, 10)
        assert await log.lag(place.topic, "g") == 20
    async with place.opened() as other:
        assert await other.lag(place.topic, "g") == 20


@pytest.mark.asyncio
async def test_retention_deletes_what_is_old_and_offsets_are_not_used_again(log: Log, place: Place) -> None:
    topic = place.topic + "-short"
    await log.create({topic: 1}, retention=1.0)
    await log.publish(topic, [Outgoing(str(i).encode()) for i in range(20)])
    assert len(values(await read_all(log, topic, "g", 20))) == 20
    async with asyncio.timeout(PATIENCE):
        while (told := await bounds(log, topic)).begin < 20:
            await asyncio.sleep(0.1)
    assert (told.begin, told.end, told.committed) == (20, 20, 20)
    await log.publish(topic, [Outgoing(b"new")])
    (batch,) = await read_all(log, topic, "g", 1)
    assert [(record.offset, record.value) for record in batch.records] == [(20, b"new")]


async def bounds(log: Log, topic: str) -> Assigned:
    """What a member that joins is told of partition 0."""
    async with log.subscribe(topic, "g", starts := Starts()) as subscription:
        reading = asyncio.ensure_future(anext(subscription.batches()))
        await starts.answered.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return starts.told[0]
