"""A clock that jumps: it goes on only when there is nothing left to do at the time that it shows."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

TURNS = 12
"""Turns of the event loop in which nothing may be going on: whoever was woken needs some to get to work."""
LOOK_SECONDS = 0.02
"""How long to wait at most before looking again whether everything is done."""


class VirtualClock:
    """Shows `start` until `jump` moves it to the next time that somebody sleeps until.

    After `run_on` it goes on by itself, as fast as the machine's clock.
    """

    is_wall = False

    def __init__(self, start: float) -> None:
        self._now = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None], asyncio.Task[Any]]] = []
        self._numbers = itertools.count()
        self._woken: set[asyncio.Task[Any]] = set()
        self._ahead: float | None = None
        self.changed = asyncio.Event()
        """Set by whoever comes to rest: it may be time to go on."""

    def now(self) -> float:
        """Seconds since the epoch, UTC, in the demo world."""
        return self._now if self._ahead is None else time.time() + self._ahead

    async def sleep_until(self, when: float) -> None:
        """Return when `now()` is at least `when`."""
        task = asyncio.current_task()
        assert task is not None
        self._woken.discard(task)
        while (left := when - self.now()) > 0:
            if self._ahead is not None:
                await asyncio.sleep(min(left, 1.0))
                continue
            woken = asyncio.get_running_loop().create_future()
            heapq.heappush(self._sleepers, (when, next(self._numbers), woken, task))
            self.changed.set()
            await woken

    @property
    def next_due(self) -> float | None:
        """The earliest time that somebody sleeps until."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    @property
    def at_rest(self) -> bool:
        """Whether everybody who was woken has ended or sleeps again."""
        self._woken = {task for task in self._woken if not task.done()}
        return not self._woken

    def jump(self) -> None:
        """Go to the next due time and wake everybody who is due by then. Nobody sleeping: nothing happens."""
        due = self.next_due
        if due is None:
            return
        self._now = max(self._now, due)
        while (when := self.next_due) is not None and when <= self._now:
            self._wake(*heapq.heappop(self._sleepers)[2:])

    def run_on(self) -> None:
        """From now on go with the machine's clock."""
        self._ahead = self._now - time.time()
        for _, _, woken, task in self._sleepers:
            if not woken.done():
                self._wake(woken, task)
        self._sleepers.clear()

    def _wake(self, woken: asyncio.Future[None], task: asyncio.Task[Any]) -> None:
        self._woken.add(task)
        woken.set_result(None)


async def drive(clock: VirtualClock, busy: Callable[[], Awaitable[bool]], after: Callable[[], bool]) -> None:
    """Move the clock from one due time to the next, whenever nothing is in flight, until `after` says that it is over.

    Args:
        busy: whether a request, an unscored mention or an undelivered page is in flight.
        after: called at rest, before each jump; True ends it.
    """
    while True:
        await settle(clock, busy)
        if after():
            return
        clock.jump()


async def settle(clock: VirtualClock, busy: Callable[[], Awaitable[bool]]) -> None:
    """Return when nothing is in flight and somebody is waiting for a later time."""
    while True:
        clock.changed.clear()
        if await _done(clock, busy):
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if await _done(clock, busy):
                return
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await clock.changed.wait()


async def _done(clock: VirtualClock, busy: Callable[[], Awaitable[bool]]) -> bool:
    return clock.at_rest and clock.next_due is not None and not await busy()
