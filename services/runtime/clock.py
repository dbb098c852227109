"""The only place that asks for the time."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where services get the time from."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    @property
    def is_wall(self) -> bool:
        """Whether it shows the same time as the stamps of a log on another machine."""
        ...

    async def sleep_until(self, when: float) -> None:
        """Return when `now()` is at least `when`."""
        ...


class WallClock:
    """The machine's clock."""

    is_wall = True

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    async def sleep_until(self, when: float) -> None:
        """Return when `now()` is at least `when`; a clock that is set back or forth meanwhile is noticed within 60 s."""
        while (left := when - time.time()) > 0:
            await asyncio.sleep(min(left, 60.0))
