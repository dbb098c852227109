"""A clock that stands until it is told to go on."""

import asyncio


class ManualClock:
    """`now()` is what was set last."""

    is_wall = False

    def __init__(self, now: float) -> None:
        self._now = now
        self._moved = asyncio.Condition()

    def now(self) -> float:
        return self._now

    async def sleep_until(self, when: float) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._now >= when)

    async def move_to(self, when: float) -> None:
        async with self._moved:
            self._now = when
            self._moved.notify_all()
