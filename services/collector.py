"""The collector: asks sources politely, publishes mentions, then moves the cursor, then tells how far time has come.

Several collectors share the sources by leases in the database. Progress goes to every partition, after the mentions of
the polls it tells about, at the end of every bin and at least every 15 s of wall time.
"""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

import structlog

from alerting.bins import bin_start
from alerting.detector import BIN_SECONDS
from ingest import store
from ingest.answer import Failure
from ingest.brand import Matcher
from ingest.collect import Decision, Seen, SourceState, Watched, decide, decide_failed, decide_unchanged, posts
from ingest.fetch import PER_HOST, Fetcher
from ingest.mention import Poll, Progress, encode
from ingest.parse import Parser, Reply, Unreadable
from ingest.source import SourceConfig
from ingest.sources import KINDS
from services.metrics import Metrics
from services.runtime.broker import MENTIONS, Log, LogUnavailable, Outgoing
from services.runtime.clock import Clock
from services.runtime.database import Database, DatabaseUnavailable
from services.runtime.lifecycle import Lifecycle

PROGRESS_SECONDS = 15.0
LEASE_SECONDS = 180.0
"""A collector that took a source and was not heard of for so long has lost it."""
DEAD_SECONDS = 120.0
"""A collector without a sign of life for so long is taken over from."""
POLLS_A_RECORD = 1_000
"""Polls that one Progress tells of at most: a record has to stay small."""
CONCURRENT = 16
"""Sources asked at the same time; per host there are fewer."""
RETRY_SECONDS = 2.0
LAST_WORDS_SECONDS = 1.5

logger = structlog.get_logger()


class Collector:
    """Asks the sources that are due. Makes one poll a source at a time, and Progress of what they gave."""

    def __init__(
        self,
        name: str,
        sources: Sequence[SourceConfig],
        matcher: Matcher,
        log: Log,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        lifecycle: Lifecycle,
        *,
        contact: str,
    ) -> None:
        self.name = name
        self.sources = {config.id: config for config in sources}
        self.lifecycle = lifecycle
        self.clock = clock
        self._matcher = matcher
        self._log = log
        self._database = database
        self._metrics = metrics
        self._fetcher = Fetcher(contact)
        self._parser = Parser()
        self._polls: list[Poll] = []
        self._answers: dict[str, tuple[str, bool, float]] = {}
        """Source -> its kind, whether its last poll was answered, when it last answered."""
        self._due: dict[str, float] = {}
        """When each source may be asked, as far as is known here; those under way are not in it."""
        self._host = {config.id: urlsplit(config.url).hostname or "" for config in sources}
        self._shared = True
        """Whether another collector may have asked a source: then what is known here of when it is due is too old."""
        self._telling = asyncio.Lock()
        self._said = 0.0

    async def close(self) -> None:
        """Give back connections, end the parser."""
        await self._fetcher.close()
        await self._parser.close()

    async def begin(self) -> None:
        """Make the configured sources known, and this collector, too; what it held when it died is free again."""
        await self._database.run(store.sync_sources, list(self.sources.values()))
        await self._database.run(store.release_all, self.name)
        await self.look_after_others()

    # --- one poll ---------------------------------------------------------------------------------------------------

    async def claim(self, under_way: Collection[str]) -> list[SourceState]:
        """Take sources that are due while there is room; what another collector holds is looked at again later.

        None are taken once a stop was asked for, and none of a host that has enough under way, so that one slow host
        does not keep all others waiting.
        """
        now = self.clock.now()
        taken: list[SourceState] = []
        while not self.lifecycle.stopping.is_set():
            held = [*under_way, *(state.id for state in taken)]
            due = self._turn(held, now)[: max(0, CONCURRENT - len(held))]
            if not due:
                break
            try:
                taken += await self._take(due, now)
            except DatabaseUnavailable:
                if not taken:
                    raise
                break
        return taken

    async def _take(self, due: Sequence[str], now: float) -> list[SourceState]:
        """Those of the sources that nobody else holds or has asked meanwhile; the others come again later."""
        taken = await self._database.run(
            store.claim_due, due, owner=self.name, now=now, lease=LEASE_SECONDS, limit=len(due)
        )
        if len(taken) < len(due):
            self._due.update(dict.fromkeys(due, now + PROGRESS_SECONDS))
            self._shared = True
        for state in taken:
            del self._due[state.id]
        return taken

    def _turn(self, under_way: Collection[str], now: float) -> list[str]:
        """The sources whose turn it is, longest due first, as many of each host as may be asked at once."""
        busy = Counter(self._host[source] for source in under_way)
        out = []
        for source in sorted((s for s, when in self._due.items() if when <= now), key=lambda s: self._due[s]):
            busy[self._host[source]] += 1
            if busy[self._host[source]] <= PER_HOST:
                out.append(source)
        return out

    async def poll(self, state: SourceState) -> None:
        """Ask one source: publish what is new, then move its cursor."""
        config = self.sources[state.id]
        with self.lifecycle.hold("poll"), self._metrics.poll_seconds.labels(config.kind).time():
            asked = self.clock.now()
            decision = await self._judge(state, config)
            await self._publish([Outgoing(encode(m), key=m.id.encode()) for m in decision.mentions])
            kept = await self._keep(decision, self.clock.now())
            self._due[state.id] = decision.next_due
            if not kept:
                logger.info("source given up", source=state.id)
                return
            answered = decision.reason in ("new", "unchanged")
            self._polls.append(
                Poll(
                    source=state.id,
                    at=asked,
                    answered=answered,
                    brands=config.brands,
                    items=len(decision.seen),
                    reason=decision.reason,
                )
            )
            self._count(config, decision, answered)

    async def _judge(self, state: SourceState, config: SourceConfig) -> Decision:
        """What a poll comes to. One source that we cannot cope with does not stop the others: it fails, visibly."""
        try:
            return await self._decide(state, config)
        except Exception:
            logger.exception("a source made the collector fail", source=state.id)
            return self._failed(state, config, Unreadable("parse-crashed", "Tocsin failed on it; this is a bug."))

    async def _decide(self, state: SourceState, config: SourceConfig) -> Decision:
        kind = KINDS[config.kind]
        answer = await self._fetcher.fetch(
            config.url,
            etag=state.etag,
            last_modified=state.last_modified,
            private=config.private,
            obey_robots=kind.OBEYS_ROBOTS,
        )
        if isinstance(answer, Failure):
            return self._failed(state, config, answer)
        body_hash = hashlib.sha256(answer.body).hexdigest()
        if answer.unchanged or body_hash == state.body_hash:
            return decide_unchanged(state, config, answer, self.clock.now())
        reply = await self._parser.parse(config.kind, answer.body, answer.content_type, answer.url)
        if isinstance(reply, Unreadable) or reply.parsed is None:
            return self._failed(state, config, reply if isinstance(reply, Unreadable) else _nothing(reply))
        seen = await self._seen(state.id, [post for post, _ in posts(reply.parsed, kind)])
        watched = Watched(config, kind, self._matcher)
        now = self.clock.now()
        return decide(reply.parsed, seen, state, watched, answer=answer, body_hash=body_hash, now=now)

    def _failed(self, state: SourceState, config: SourceConfig, failure: Failure | Unreadable) -> Decision:
        logger.warning("source does not answer", source=state.id, reason=failure.reason, said=failure.sentence)
        return decide_failed(state, config, failure, self.clock.now())

    async def _seen(self, source: str, wanted: list[str]) -> dict[str, Seen]:
        while True:
            try:
                return await self._database.run(store.load_seen, source, wanted)
            except DatabaseUnavailable as fault:
                await self.wait_for_database(fault)

    async def _keep(self, decision: Decision, now: float) -> bool:
        """Move the cursor; the mentions are in the log already."""
        while True:
            try:
                return await self._database.run(store.apply, decision, now)
            except DatabaseUnavailable as fault:
                await self.wait_for_database(fault)

    async def wait_for_database(self, fault: Exception) -> None:
        """Count it, say it, wait a little."""
        self._metrics.database.labels("collector").inc()
        logger.error("the database failed, trying again", cause=str(fault))
        await asyncio.sleep(RETRY_SECONDS)

    async def _publish(self, out: Sequence[Outgoing]) -> None:
        """Until it is there: back-pressure waits."""
        while out:
            try:
                await self._log.publish(MENTIONS, out)
            except LogUnavailable as fault:
                await self._wait_for_log(fault)
            else:
                return

    def _count(self, config: SourceConfig, decision: Decision, answered: bool) -> None:
        self._metrics.polls.labels(config.kind, decision.reason).inc()
        for what, number in decision.counts.items():
            self._metrics.mentions.labels(config.kind, what).inc(number)
        self._answers[config.id] = (config.kind, answered, decision.state.last_answer or 0.0)
        alike = [(fine, at) for kind, fine, at in self._answers.values() if kind == config.kind]
        self._metrics.source_failing.labels(config.kind).set(sum(not fine for fine, _ in alike))
        self._metrics.source_silent.labels(config.kind).set(min(at for _, at in alike))

    # --- time -------------------------------------------------------------------------------------------------------

    async def progress(self) -> None:
        """Tell every partition how far time has come here, and what was polled since the last time."""
        async with self._telling:
            while True:
                polls = tuple(self._polls[:POLLS_A_RECORD])
                try:
                    await self._tell(Progress(collector=self.name, at=self.clock.now(), polls=polls))
                except LogUnavailable as fault:  # the next attempt tells the time that it is then
                    await self._wait_for_log(fault)
                    continue
                del self._polls[: len(polls)]
                if not self._polls:
                    break
            self._said = asyncio.get_running_loop().time()

    async def last_words(self) -> None:
        """At a stop: what was polled since the last Progress, and goodbye, so that nobody waits for this collector.

        If the log does not take it at once, another collector, or this one when it is back, says it later.
        """
        with contextlib.suppress(TimeoutError, LogUnavailable, DatabaseUnavailable):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                if self._polls:
                    await self.progress()
                await self._tell(Progress(collector=self.name, at=self.clock.now(), leaving=True))
                await self._database.run(store.bury_collector, self.name, float("inf"))

    async def _tell(self, progress: Progress) -> None:
        value = encode(progress)
        partitions = await self._log.partitions(MENTIONS)
        await self._log.publish(MENTIONS, [Outgoing(value, partition=p) for p in range(partitions)])

    async def _wait_for_log(self, fault: LogUnavailable) -> None:
        self._metrics.log.labels("collector").inc()
        logger.error("the log does not answer, trying again", cause=str(fault))
        await asyncio.sleep(RETRY_SECONDS)

    async def look_after_others(self) -> None:
        """A sign of life, and a goodbye for collectors that have died: nobody has to wait for them any more."""
        now = self.clock.now()
        await self._database.run(store.sign_of_life, self.name, now)
        for name in await self._database.run(store.dead_collectors, now - DEAD_SECONDS):
            if name == self.name:
                continue
            logger.warning("taking over from a collector that has died", collector=name)
            try:
                await self._tell(Progress(collector=name, at=now, leaving=True))
            except LogUnavailable as fault:
                await self._wait_for_log(fault)
                return
            await self._database.run(store.bury_collector, name, now - DEAD_SECONDS)
            self._shared = True

    @property
    def quiet_for(self) -> float:
        """Seconds of wall time since the last Progress."""
        return asyncio.get_running_loop().time() - self._said

    async def look_again(self, under_way: Collection[str]) -> None:
        """Read when each source may be asked, where other collectors may have asked or given up some."""
        if not self._shared:
            return
        self._shared = False
        found = await self._database.run(store.due_times, self.sources.keys())
        self._due = {source: when for source, when in found.items() if source not in under_way}

    def next_due(self, under_way: Collection[str]) -> float:
        """When the next source may be asked whose host has not enough under way."""
        busy = Counter(self._host[source] for source in under_way)
        return min((w for s, w in self._due.items() if busy[self._host[s]] < PER_HOST), default=float("inf"))


def _nothing(reply: Reply) -> Unreadable:
    return Unreadable("unparsable", reply.sentence)


async def collect(collector: Collector) -> None:
    """Ask what is due, tell the time at the end of every bin, for ever."""
    await collector.begin()
    collector.lifecycle.ready("collector")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep_telling(collector))
            await _keep_asking(collector, group)
    finally:
        await collector.last_words()


async def _keep_asking(collector: Collector, group: asyncio.TaskGroup) -> None:
    under_way: dict[asyncio.Task[None], str] = {}
    told = 0
    while True:
        try:
            with collector.lifecycle.hold("schedule"):
                if bin_start(collector.clock.now()) > told:
                    told = bin_start(collector.clock.now())
                    await collector.progress()
                    await collector.look_again(under_way.values())
                for state in await collector.claim(under_way.values()):
                    task = group.create_task(collector.poll(state))
                    under_way[task] = state.id
                    task.add_done_callback(under_way.pop)
        except DatabaseUnavailable as fault:
            await collector.wait_for_database(fault)
            continue
        end = told + BIN_SECONDS
        due = collector.next_due(under_way.values()) if len(under_way) < CONCURRENT else end
        await _until(collector, min(end, due), under_way)


async def _until(collector: Collector, when: float, under_way: Collection[asyncio.Task[None]]) -> None:
    """Sleep, but look again when a poll has ended: its source is due again some time."""
    sleep = asyncio.ensure_future(collector.clock.sleep_until(max(when, collector.clock.now() + 0.05)))
    try:
        await asyncio.wait({sleep, *under_way}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleep.cancel()


async def _keep_telling(collector: Collector) -> None:
    """At least every 15 s of wall time, whatever else goes on."""
    while True:
        await asyncio.sleep(max(1.0, PROGRESS_SECONDS - collector.quiet_for))
        if collector.quiet_for >= PROGRESS_SECONDS:
            await collector.progress()
        try:
            await collector.look_after_others()
        except DatabaseUnavailable as fault:
            await collector.wait_for_database(fault)
