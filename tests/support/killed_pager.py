"""A pager that kills itself with SIGKILL at a named point, in a process of its own."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from alerting.channel import Channel, Message, Outcome
from alerting.channels import make
from alerting.channels.webhook import Config
from alerting.policy import Step
from services.metrics import Metrics
from services.pager import Pager
from services.runtime.database import Database
from services.runtime.lifecycle import Lifecycle
from tests.support.clock import ManualClock

Die = Callable[[str], None]


class KilledDatabase(Database):
    """Dies before a transaction, before its commit, or after it."""

    def __init__(self, url: str, die: Die) -> None:
        super().__init__(url)
        self._die = die

    def run_here(self, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        name = step.__name__.strip("_")

        def inside(connection: Connection) -> Any:
            result = step(connection, *args, **kwargs)
            self._die(f"inside {name}")
            return result

        self._die(f"before {name}")
        result = super().run_here(inside)
        self._die(f"after {name}")
        return result


class KilledChannel:
    """Dies before or after it has really sent."""

    def __init__(self, inner: Channel, die: Die) -> None:
        self._inner = inner
        self._die = die

    async def send(self, message: Message) -> Outcome:
        self._die("before send")
        outcome = await self._inner.send(message)
        self._die("after send")
        return outcome

    async def close(self) -> None:
        await self._inner.close()


def page_once(url: str, hook: str, steps: Sequence[Step], now: float, point: str) -> None:
    """One round of a pager; ends by SIGKILL if it comes to `point`."""

    def die(here: str) -> None:
        if here == point:
            os.kill(os.getpid(), signal.SIGKILL)

    async def main() -> None:
        database = KilledDatabase(url, die)
        channel = KilledChannel(make(Config(url=hook)), die)
        pager = Pager(database, {"hook": channel}, steps, ManualClock(now), Metrics(), Lifecycle("pager"))
        await pager.step(now)
        await pager.sent()

    asyncio.run(main())
