"""The log without Kafka: one SQLite file with Kafka's words and promises, for one machine.

Any process may publish; one process consumes, and in it a group may have several members. What waits while the disk
works on the last transaction shares the next one (group commit), so that many small publishes cost one flush to disk.
Committed offsets go into the file with the next transaction, or a moment later: losing one means a batch is delivered
again. SQLite runs in two threads, one that writes and one that reads; the event loop never waits for the disk.
"""

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Concatenate, ParamSpec, TypeVar

from services.runtime.broker import (
    Assigned,
    Batch,
    Busy,
    Incoming,
    Log,
    LogUnavailable,
    Lost,
    Outgoing,
    Starts,
    Subscription,
)
from services.runtime.logfile import Bounds, FileLocked, LogFile
from services.runtime.members import Team
from services.runtime.partition import by_partition
from services.runtime.positions import Positions, start_of

P = ParamSpec("P")
T = TypeVar("T")

BATCH_RECORDS, BATCH_BYTES = 1_000, 4_000_000
TRANSACTION_RECORDS = 20_000
POLL_SECONDS = 0.1
"""How long records of another process may go unnoticed."""
COMMIT_SECONDS = 0.25
"""How long a committed offset may stay out of the file."""
SWEEP_SECONDS = 60.0
"""How often what is too old is deleted, or oftener where retention is short."""
PATIENCE = 30.0
"""Deadline of everything that has none of its own."""


@dataclass(eq=False, slots=True)
class _Job:
    """What one call of `publish` waits for."""

    topic: str
    writes: Sequence[tuple[int, Sequence[Outgoing]]]
    done: asyncio.Future[None]
    records: int = field(init=False)

    def __post_init__(self) -> None:
        self.records = sum(len(records) for _, records in self.writes)


class EmbeddedLog(Log):
    """The log in the file at `path`; `now` gives the time that records are stamped with. Call `open` first."""

    def __init__(self, path: Path | str, *, now: Callable[[], float] = time.time) -> None:
        self.path = Path(path)
        self._now = now
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="log-reader")
        self._jobs: list[_Job] = []
        self._commits: dict[tuple[str, int], int] = {}
        self._work = asyncio.Event()
        self._created = asyncio.Event()
        self._arrived: dict[str, asyncio.Event] = {}
        self._teams: dict[tuple[str, str], Team] = {}
        self._ids: dict[str, list[int]] = {}
        self._turn = itertools.count()
        self._claimed: IO[str] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Open the file, or make it. Raises LogUnavailable with a sentence that says what to do."""
        self._writer = await self._again(self._writing, lambda: LogFile(self.path))
        self._reader = await self._again(self._reading, lambda: LogFile(self.path))
        self.identity = await self._read(LogFile.identity)
        self._tasks = [asyncio.create_task(self._keep_writing()), asyncio.create_task(self._keep_sweeping())]

    async def create(self, topics: Mapping[str, int], *, retention: float) -> None:
        """Create topics that do not exist; retention is also set on those that do."""
        await self._write(LogFile.create, topics, retention)
        self._created.set()

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises LookupError when there is no such topic."""
        return len(await self._partitions(topic))

    async def publish(self, topic: str, records: Sequence[Outgoing], *, deadline: float = 30.0) -> None:
        """Durable when it returns. Raises LogUnavailable after `deadline` seconds, or at once if the disk is full."""
        try:
            async with asyncio.timeout(deadline):
                ids = await self._partitions(topic)
                shares = by_partition(records, len(ids), next(self._turn))
                writes = [(ids[number], share) for number, share in shares.items()]
                await self._enqueue(_Job(topic, writes, asyncio.get_running_loop().create_future()))
        except TimeoutError:
            raise LogUnavailable(
                f"The log {self.path} took no record for {deadline:g} s: another program holds it, or the disk is slow."
            ) from None

    @contextlib.asynccontextmanager
    async def subscribe(
        self, topic: str, group: str, starts: Starts | None = None, lost: Lost | None = None
    ) -> AsyncIterator[Subscription]:
        """Join a group. Raises Busy where another process consumes this log."""
        ids = await self._partitions(topic)
        self._claim()
        team = self._teams.setdefault((topic, group), Team(ids, lambda: self._wake(topic)))
        member = _Member(self, topic, group, team, starts, lost)
        try:
            await self._write(LogFile.register, group, ids)
            await team.join(member.positions)
            yield member
        finally:
            await team.leave(member.positions)
            with contextlib.suppress(LogUnavailable):
                await self._settle()
            if not team.members:
                self._teams.pop((topic, group), None)
            self._unclaim()

    async def lag(self, topic: str, group: str) -> int:
        """Records that the group has not committed yet, over all partitions."""
        known = await self.bounds(topic, group)
        return sum(b.end - max(b.begin, b.committed or 0) for b in known)

    async def bounds(self, topic: str, group: str) -> list[Assigned]:
        """Each partition as a member of the group would be told."""
        await self._partitions(topic)
        rows: list[Bounds] = await self._read(LogFile.bounds, topic, group)
        team = self._teams.get((topic, group))
        return [row.assigned(self.identity, team.committed.get(row.number) if team else None) for row in rows]

    async def read(self, topic: str, partition: int, offset: int, limit: int) -> Batch:
        """Up to `limit` records from `offset` on, at once, outside of any group."""
        ids = await self._partitions(topic)
        if not 0 <= partition < len(ids):
            raise LookupError(f"The topic {topic} has no partition {partition}.")
        place = [(ids[partition], offset)]
        if found := await self._read(LogFile.read, place, min(limit, BATCH_RECORDS), BATCH_BYTES):
            return Batch(topic, partition, found[1], found[1][-1].offset + 1, found[2])
        return Batch(topic, partition, [], offset, (await self.bounds(topic, ""))[partition].end)

    async def sweep(self) -> int:
        """Delete some of what is too old and done by every group, which happens by itself now and then; how many."""
        return await self._write(LogFile.sweep, self._now())

    async def close(self) -> None:
        """Write what waits, within a deadline, and let the file go."""
        with contextlib.suppress(LogUnavailable):
            await self._settle()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self._jobs:
            _fail(job, LogUnavailable(f"The log {self.path} was closed."))
        for threads, file in ((self._writing, "_writer"), (self._reading, "_reader")):
            if hasattr(self, file):
                threads.submit(getattr(self, file).close)
            threads.shutdown(wait=True)
        if self._claimed:
            self._claimed.close()

    # Members call these.

    async def fetch(self, places: Sequence[tuple[int, int]]) -> tuple[int, list[Incoming], int] | None:
        """Records of the first place (partition's id, offset) that has any, with the partition's id and end."""
        return await self._read(LogFile.read, places, BATCH_RECORDS, BATCH_BYTES)

    def commit(self, group: str, partition: int, next_offset: int) -> None:
        """Put into the file before long."""
        if not self._commits:
            asyncio.get_running_loop().call_later(COMMIT_SECONDS, self._work.set)
        self._commits[group, partition] = next_offset

    def arrival(self, topic: str) -> asyncio.Event:
        """Set when something happens to the topic."""
        return self._arrived.setdefault(topic, asyncio.Event())

    def _wake(self, topic: str) -> None:
        if event := self._arrived.pop(topic, None):
            event.set()

    # Writing.

    async def _enqueue(self, job: _Job) -> None:
        if not self._tasks:
            raise LogUnavailable(f"The log {self.path} is not open.")
        self._jobs.append(job)
        self._work.set()
        try:
            await job.done
        finally:
            if job in self._jobs:
                self._jobs.remove(job)

    async def _settle(self) -> None:
        if self._commits and self._tasks:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._enqueue(_Job("", (), asyncio.get_running_loop().create_future()))
            except TimeoutError:
                raise LogUnavailable(f"The log {self.path} is held by another program.") from None

    async def _keep_writing(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            jobs, commits = self._next_transaction(), self._commits
            self._commits = {}
            if jobs or commits:
                await self._commit_together(jobs, commits)

    def _next_transaction(self) -> list[_Job]:
        waiting = [job for job in self._jobs if not job.done.done()]
        sizes = itertools.accumulate(job.records for job in waiting)
        count = max(1, sum(size <= TRANSACTION_RECORDS for size in sizes))
        self._jobs = waiting[count:]
        if self._jobs:
            self._work.set()
        return waiting[:count]

    async def _commit_together(self, jobs: list[_Job], commits: dict[tuple[str, int], int]) -> None:
        writes = [write for job in jobs for write in job.writes]
        try:
            await self._in(self._writing, self._writer.append, writes, commits, self._now())
        except FileLocked:
            self._jobs[:0] = jobs
            self._work.set()
        except LogUnavailable as fault:
            for job in jobs:
                _fail(job, fault)
        else:
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(None)
            for topic in {job.topic for job in jobs}:
                self._wake(topic)
            return
        self._commits = commits | self._commits

    async def _keep_sweeping(self) -> None:
        while True:
            with contextlib.suppress(LogUnavailable):
                self._created.clear()
                age = await self._read(LogFile.retention)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_SECONDS if age is None else min(SWEEP_SECONDS, max(0.1, age / 4))):
                        await self._created.wait()
                while await self.sweep():
                    pass

    # The two threads.

    async def _in(self, threads: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, lambda: call(*args, **kwargs))

    async def _read(self, call: Callable[Concatenate[LogFile, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._again(self._reading, lambda: call(self._reader, *args, **kwargs))

    async def _write(self, call: Callable[Concatenate[LogFile, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._again(self._writing, lambda: call(self._writer, *args, **kwargs))

    async def _again(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return await self._in(threads, call)
            except FileLocked:  # SQLite has waited inside for a second
                if time.monotonic() > until:
                    raise LogUnavailable(f"The log {self.path} is held by another program.") from None

    async def _partitions(self, topic: str) -> list[int]:
        if topic not in self._ids:
            self._ids[topic] = await self._read(LogFile.partitions, topic)
        return self._ids[topic]

    # One process consumes.

    def _claim(self) -> None:
        if self._claimed:
            return
        path = self.path.with_name(self.path.name + "-consumer.lock")
        try:
            file = path.open("a+")
        except OSError as fault:
            raise LogUnavailable(f"The file {path} cannot be written: {fault.strerror}.") from fault
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            said = file.read()
            file.close()
            raise Busy(_who(self.path, said)) from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}))
        file.flush()
        self._claimed = file

    def _unclaim(self) -> None:
        if self._claimed and not self._teams:
            self._claimed.close()
            self._claimed = None


class _Member(Subscription):
    """One member of a group; `positions` are moved by the team when others come and go."""

    def __init__(
        self, log: EmbeddedLog, topic: str, group: str, team: Team, starts: Starts | None, lost: Lost | None
    ) -> None:
        self.positions = Positions(lost)
        self._log, self._topic, self._group, self._team, self._starts = log, topic, group, team, starts
        self._last = -1

    async def batches(self) -> AsyncIterator[Batch]:
        """Batches as they come, each partition in its turn, until the member leaves."""
        while not self.positions.left:
            self.positions.release()
            arrival = self._log.arrival(self._topic)
            await self._open()
            if batch := await self._next():
                self._last = batch.partition
                yield batch
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await arrival.wait()

    async def commit(self, partition: int, next_offset: int) -> None:
        """The group has done everything before `next_offset`. Raises NotOwner."""
        self.positions.check(partition, next_offset)
        self._team.committed[partition] = next_offset
        self._log.commit(self._group, self._team.ids[partition], next_offset)
        self.positions.committed(partition, next_offset)

    async def _open(self) -> None:
        fresh, epoch = set(self.positions.fresh), self.positions.epoch
        if not fresh:
            return
        known = [a for a in await self._log.bounds(self._topic, self._group) if a.partition in fresh]
        answers = await self._starts(known) if self._starts else {}
        if epoch == self.positions.epoch:
            for assigned in known:
                self.positions.open(assigned.partition, start_of(assigned, answers.get(assigned.partition)))

    async def _next(self) -> Batch | None:
        places, ids = self.positions.readable(), self._team.ids
        in_turn = sorted(places, key=lambda partition: (partition <= self._last, partition))
        found = await self._log.fetch([(ids[partition], places[partition]) for partition in in_turn])
        if found is None:
            return None
        partition, records, end = ids.index(found[0]), found[1], found[2]
        after = records[-1].offset + 1
        if not self.positions.deliver(partition, places[partition], after):
            return None
        return Batch(self._topic, partition, records, after, end)


def _fail(job: _Job, fault: LogUnavailable) -> None:
    if not job.done.done():
        job.done.set_exception(LogUnavailable(str(fault)))


def _who(path: Path, said: str) -> str:
    try:
        holder = json.loads(said)
        who, since = f"Process {holder['pid']}", f" since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        who, since = "Another process", ""
    return f"{who} consumes the log {path}{since}, and only one may: stop it first, or use Kafka to run several."
