"""Starting, hearing and killing the processes of `child.py`."""

import asyncio
import itertools
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.contracts.places import Place
from tests.contracts.reading import PATIENCE


class Child:
    """A process; `said` are its lines so far."""

    def __init__(self, nest: "Nest", pid: int) -> None:
        self.pid = pid
        self.said = nest.said[pid]
        self._nest = nest

    async def says(self, word: str, times: int = 1) -> list[list[str]]:
        """Wait until it has said a word so often."""
        return await self._nest.until(lambda: [w for w in self.said if w[0] == word], times)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone and all that it said is known."""
        self.send(signal.SIGKILL)
        self._nest.order({"reap": self.pid})
        await self.says("gone")


class Nest:
    """The process that forks children, and all that they say."""

    def __init__(self, process: asyncio.subprocess.Process, place: Place) -> None:
        self.said: dict[int, list[list[str]]] = defaultdict(list)
        self.children: list[Child] = []
        self._process, self._place = process, place
        self._tags = itertools.count()
        self._heard = asyncio.Event()
        self._started: dict[str, int] = {}

    async def start(self, role: str, **more: Any) -> Child:
        """Fork a child."""
        tag = str(next(self._tags))
        self.order(
            {"role": role, "tag": tag, "log": self._place.where, "topic": self._place.topic, "name": tag, **more}
        )
        await self.until(lambda: [[tag]] if tag in self._started else [], 1)
        child = Child(self, self._started[tag])
        self.children.append(child)
        return child

    def order(self, what: dict[str, Any]) -> None:
        """Send a line."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what).encode() + b"\n")

    def all(self, word: str) -> list[str]:
        """Everything that all children, living and dead, said after a word."""
        return [rest for lines in self.said.values() for first, *more in lines if first == word for rest in more]

    async def until(self, what: Any, count: int) -> list[list[str]]:
        """Wait until a question has so many answers."""
        async with asyncio.timeout(PATIENCE):
            while len(found := what()) < count:
                self._heard.clear()
                await self._heard.wait()
        return found  # type: ignore[no-any-return]

    async def listen(self) -> None:
        """Sort the lines by process."""
        assert self._process.stdout
        async for line in self._process.stdout:
            pid, *words = line.decode().split()
            if words[0] == "started":
                self._started[words[1]] = int(pid)
            elif words[0] == "failed":
                raise AssertionError(f"a child failed: {line.decode()}")
            else:
                self.said[int(pid)].append(words)
            self._heard.set()


@asynccontextmanager
async def nest_for(place: Place) -> AsyncIterator[Nest]:
    """A nest; its children are killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.contracts.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    nest = Nest(process, place)
    try:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(nest.listen())
            yield nest
            listening.cancel()
    finally:
        for child in nest.children:
            if ["gone"] not in child.said:
                child.send(signal.SIGKILL)
        assert process.stdin
        process.stdin.close()
        await process.wait()
