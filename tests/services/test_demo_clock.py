import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.demo.clock import VirtualClock, drive

Busy = Callable[[], Awaitable[bool]]


async def never_busy() -> bool:
    return False


def stops_at(clock: VirtualClock, end: float) -> Callable[[], bool]:
    return lambda: (clock.next_due or 0.0) > end


@settings(max_examples=40, deadline=None)
@given(
    stages=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 4)), min_size=1, max_size=5),
    end=st.integers(20, 200),
)
def test_everybody_wakes_when_due_and_nobody_is_overtaken(stages: list[tuple[int, int]], end: int) -> None:
    """Each stage sleeps for its interval and then works for some turns of the event loop; time stands still meanwhile."""
    woken: list[tuple[float, float]] = []

    async def main() -> None:
        clock = VirtualClock(0.0)
        working = 0

        async def stage(interval: int, turns: int) -> None:
            nonlocal working
            due = 0.0
            while True:
                due += interval
                await clock.sleep_until(due)
                working += 1
                for _ in range(turns):
                    await asyncio.sleep(0)
                    assert clock.now() == due
                woken.append((due, clock.now()))
                working -= 1

        async def busy() -> bool:
            return working > 0

        tasks = [asyncio.create_task(stage(*one)) for one in stages]
        await drive(clock, busy, stops_at(clock, end))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert all(due == at for due, at in woken)
    assert woken == sorted(woken)
    assert len(woken) == sum(end // interval for interval, _ in stages)


@pytest.mark.asyncio
async def test_it_waits_for_work_in_a_thread_that_is_reported_as_busy() -> None:
    clock = VirtualClock(0.0)
    in_hand = 0
    seen: list[float] = []

    async def stage() -> None:
        nonlocal in_hand
        for due in (10.0, 20.0, 30.0):
            await clock.sleep_until(due)
            in_hand += 1
            await asyncio.to_thread(sum, range(200_000))
            seen.append(clock.now())
            in_hand -= 1
        await clock.sleep_until(1e9)

    async def busy() -> bool:
        return in_hand > 0

    task = asyncio.create_task(stage())
    await drive(clock, busy, stops_at(clock, 100.0))
    task.cancel()
    assert seen == [10.0, 20.0, 30.0]


@pytest.mark.asyncio
async def test_it_waits_for_a_sleeper_that_was_woken_and_does_not_sleep_again_yet() -> None:
    clock = VirtualClock(0.0)
    released = asyncio.Event()

    async def slow() -> None:
        await clock.sleep_until(10.0)
        await released.wait()
        assert clock.now() == 10.0
        await clock.sleep_until(1e9)

    async def other() -> None:
        await clock.sleep_until(20.0)
        assert released.is_set()
        await clock.sleep_until(1e9)

    tasks = [asyncio.create_task(slow()), asyncio.create_task(other())]
    driving = asyncio.create_task(drive(clock, never_busy, stops_at(clock, 100.0)))
    while clock.now() < 10.0:
        await asyncio.sleep(0)
    for _ in range(200):
        await asyncio.sleep(0)
    assert clock.now() == 10.0
    released.set()
    await driving
    assert clock.now() == 20.0
    for task in tasks:
        task.cancel()


@pytest.mark.asyncio
async def test_a_cancelled_sleeper_holds_nobody_up() -> None:
    clock = VirtualClock(0.0)
    forgotten = asyncio.create_task(clock.sleep_until(5.0))
    kept = asyncio.create_task(clock.sleep_until(7.0))
    await asyncio.sleep(0)
    forgotten.cancel()
    await asyncio.sleep(0)
    assert clock.next_due == 7.0
    clock.jump()
    await kept
    assert clock.now() == 7.0
    assert clock.at_rest


@pytest.mark.asyncio
async def test_a_time_that_has_passed_is_not_waited_for() -> None:
    clock = VirtualClock(100.0)
    await clock.sleep_until(100.0)
    await clock.sleep_until(3.0)
    assert clock.now() == 100.0
    assert clock.next_due is None


@pytest.mark.asyncio
async def test_after_run_on_it_goes_on_from_where_it_is() -> None:
    clock = VirtualClock(1_000.0)
    sleeper = asyncio.create_task(clock.sleep_until(1_000.05))
    await asyncio.sleep(0)
    clock.run_on()
    await sleeper
    assert 1_000.05 <= clock.now() < 1_010.0
