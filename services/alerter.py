"""The alerter: mentions.scored -> the archive, counts, incidents, the first pages. One transaction a batch.

The consumer group suggests who reads a partition, the database decides: see `alerting.archive.take` and `advance`.
"""

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import structlog
from sqlalchemy import Connection

from alerting import archive, incident_store, outbox, policy, quotes
from alerting.account import Account
from alerting.bins import Bin, bin_start, evidence, exposure
from alerting.brand_state import VERSION
from alerting.detector import Settings, State, Verdict
from alerting.evaluate import Checkpoint, Judgement, Watch, evaluate, fresh, ongoing, usual
from alerting.incident import Closed, Incident, Opened, apply, open_incident
from classify.sentiment import ScoredMention, decode
from ingest.mention import Mention, Progress, UnknownRecord, UnreadableRecord
from services.metrics import Metrics
from services.runtime import dead_letters
from services.runtime.broker import SCORED, Assigned, Batch, Log, LogUnavailable, NotOwner
from services.runtime.clock import Clock
from services.runtime.database import Database, DatabaseUnavailable, PartitionsChanged
from services.runtime.lifecycle import Lifecycle
from services.runtime.partition import partition_of

GROUP = "alerter"
LOOKS_BACK = 8 * 7 * 86_400
"""Seconds of stored mentions that the detector is rebuilt from."""
RETRY_SECONDS = 2.0

logger = structlog.get_logger()


@dataclass(slots=True)
class Held:
    """One partition that this alerter owns."""

    epoch: int
    next_offset: int
    account: Account


@dataclass(slots=True)
class Read:
    """One batch, read."""

    values: list[ScoredMention | Progress] = field(default_factory=list)
    dead: list[dead_letters.DeadLetter] = field(default_factory=list)


@dataclass(slots=True)
class Done:
    """What a transaction has done, for logs and metrics after it has committed."""

    reasons: list[tuple[ScoredMention, str]] = field(default_factory=list)
    opened: list[Incident] = field(default_factory=list)
    closed: list[Incident] = field(default_factory=list)
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)


class Alerter:
    """Owns partitions, one transaction a batch."""

    def __init__(
        self,
        database: Database,
        brands: Mapping[str, str],
        sources: Collection[str],
        detector: Settings,
        steps: Sequence[policy.Step],
        partitions: int,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`brands`: name -> a hash of its configuration; another hash rebuilds its bins. `sources`: ids of those that
        are configured; what others told has no part in what is derived, so that their end is no step in the rate."""
        self._database = database
        self._brands = brands
        self._sources = frozenset(sources)
        self._detector = detector
        self._steps = steps
        self._partitions = partitions
        self._clock = clock
        self._metrics = metrics
        self._held: dict[int, Held] = {}
        self._taking: set[int] = set()
        """Assigned, being loaded, and not lost meanwhile."""

    async def starts(self, assigned: Sequence[Assigned]) -> Mapping[int, int]:
        """Take each partition, load what is known of it, and say where to read on."""
        answers: dict[int, int] = {}
        self._taking = {one.partition for one in assigned}
        for one in assigned:
            if one.partition not in self._taking:
                continue
            held = await self._database.run(self._take, one)
            if one.partition not in self._taking:
                continue
            self._held[one.partition] = held
            for brand in held.account.brands:
                self._show(held.account.watches.get(brand) or fresh(brand, 0.0), held.account.judged)
            self._metrics.clock.labels(one.partition).set(held.account.judged)
            answers[one.partition] = held.next_offset
        return answers

    def lost(self, partitions: Collection[int]) -> None:
        """Another alerter reads these now: forget what is held of them, show no numbers of theirs."""
        self._taking.difference_update(partitions)
        for partition in partitions:
            held = self._held.pop(partition, None)
            self._metrics.forget_brands(held.account.brands if held else ())
        self._metrics.forget("alerter", partitions)

    async def step(self, batch: Batch, read: Read) -> Done:
        """Everything that follows from a batch, in one transaction; after a failure the partition is forgotten."""
        held = self._held.get(batch.partition)
        if held is None:
            raise archive.Fenced(f"partition {batch.partition} is not held")
        start = batch.records[0].offset if batch.records else batch.next_offset
        if start > held.next_offset:
            logger.info("the log skips records", partition=batch.partition, at=held.next_offset, to=start)
        try:
            done = await self._database.run(self._transaction, held, batch.next_offset, batch.partition, read)
        except BaseException:
            self._held.pop(batch.partition, None)
            raise
        held.next_offset = batch.next_offset
        if self._held.get(batch.partition) is held:
            self._count(batch.partition, held.account, done)
        return done

    # --- inside a transaction ---------------------------------------------------------------------------------------

    def _take(self, connection: Connection, assigned: Assigned) -> Held:
        known = archive.known_partitions(connection)
        if known - {self._partitions}:
            raise PartitionsChanged(
                f"The topic {SCORED} has {self._partitions} partitions, the database was filled from one with "
                f"{sorted(known)[0]}: create it again with as many, or begin with an empty database."
            )
        partition = assigned.partition
        epoch, offset, log, judged = archive.take(connection, partition, self._partitions, assigned.identity)
        begin, lost = (assigned.begin, 0) if offset is None else where_to_begin(offset, log, assigned)
        if begin != offset or log != assigned.identity:
            archive.reset_offset(connection, partition, epoch, assigned.identity, begin, lost)
        if lost:
            self._metrics.lost.labels("alerter").inc(lost)
            logger.error("the log had removed records before they were read", partition=partition, records=lost)
        mine = frozenset(b for b in self._brands if partition_of(b.encode(), self._partitions) == partition)
        account = Account(partition, mine, judged=judged or 0.0)
        account.paths = archive.load_paths(connection, partition)
        account.width = max((via for _, via in account.paths), default=-1) + 1 or None
        account.open = {i.brand: i.id for i in incident_store.load_open(connection) if i.brand in mine}
        for brand in mine:
            watch = self._load(connection, brand, account.judged)
            if watch is not None:
                account.watches[brand] = watch
        return Held(epoch, begin, account)

    def _load(self, connection: Connection, brand: str, judged: float) -> Watch | None:
        """The watch of a brand: from its sealed checkpoint, or rebuilt from what is stored."""
        known = archive.load_services(connection, brand, judged)
        services = {source: service for source, service in known.items() if source in self._sources}
        if not services:
            return None
        counted = evidence(services, judged)
        stored = archive.load_checkpoint(connection, brand, self._config(brand, counted))
        if stored is not None:
            watch = Watch(brand, [Checkpoint(stored[0], State.from_bytes(stored[1]))])
        else:
            watch = fresh(brand, max(min(s.since for s in services.values()), judged - LOOKS_BACK))
        watch.services = services
        watch.bins = archive.load_bins(connection, brand, watch.sealed, counted)
        evaluate(watch, judged, self._detector)
        return watch

    def _config(self, brand: str, counted: Mapping[str, object]) -> str:
        """What a checkpoint depends on: another hash, another history."""
        said = repr((self._brands[brand], sorted(counted), self._detector, VERSION))
        return hashlib.sha256(said.encode()).hexdigest()

    def _transaction(self, connection: Connection, held: Held, end: int, partition: int, read: Read) -> Done:
        account = held.account
        archive.advance(connection, partition, held.epoch, held.next_offset, end)
        archive.add_polls(connection, partition, [p for v in read.values if isinstance(v, Progress) for p in v.polls])
        done = Done()
        before: list[ScoredMention] = []
        for value in read.values:
            if isinstance(value, ScoredMention):
                before.append(value)
                continue
            self._mentions(connection, account, before, done)
            before = []
            self._progress(connection, account, value, done)
        self._mentions(connection, account, before, done)
        heard = {(v.collector, v.path or 0) for v in read.values if isinstance(v, Progress)}
        archive.put_paths(connection, partition, {k: account.paths[k] for k in heard if k in account.paths})
        return done

    def _mentions(
        self, connection: Connection, account: Account, mentions: Sequence[ScoredMention], done: Done
    ) -> None:
        """Store them, and count each at its first live sighting through a source that is evidence for the brand."""
        if not mentions:
            return
        late = {s.mention.id: account.late(s) for s in mentions}
        known = archive.stored(connection, late)
        archive.add_mentions(connection, mentions, late)
        archive.add_sightings(connection, mentions)
        for scored in mentions:
            mention = scored.mention
            first = mention.id not in known
            adopted = not first and not late[mention.id] and self._counts_now(account, mention, known[mention.id])
            if adopted:
                archive.adopt(connection, mention)
            if first or adopted:
                known[mention.id] = archive.Stored(mention.history, mention.source)
            reason = account.count(scored, first or adopted, late[mention.id])
            done.reasons.append((scored, reason))

    def _counts_now(self, account: Account, mention: Mention, known: archive.Stored) -> bool:
        """Whether a mention that was kept and not counted is seen in a way that counts."""
        if mention.history or not account.in_evidence(mention.brand, mention.source):
            return False
        return known.history or not account.in_evidence(mention.brand, known.source)

    def _progress(self, connection: Connection, account: Account, progress: Progress, done: Done) -> None:
        """Time has gone on: settle what the polls answered, and judge every bin that has ended."""
        polls, gone = account.hear(progress)
        if gone:
            archive.drop_collector(connection, account.partition, progress.collector)
        archive.put_services(connection, account.answered(polls))
        clock = account.clock
        if clock is None or bin_start(clock) <= account.judged:
            return
        midnight = clock // archive.DAY * archive.DAY
        if account.judged < midnight:
            archive.forget_polls(connection, account.partition, midnight - LOOKS_BACK)
        for brand, watch in list(account.watches.items()):
            if frozenset(evidence(watch.services, clock)) != watch.counted and watch.counted:
                watch = self._again(connection, account, brand)  # noqa: PLW2901 - it takes the place of the old one
            if account.judged < midnight:
                self._weigh(connection, watch, midnight)
            sealed = watch.sealed
            judgement = evaluate(watch, clock, self._detector)
            self._store(connection, watch, judgement, sealed)
            done.verdicts += [(brand, verdict) for verdict in judgement.verdicts]
            self._incident(connection, account, watch, judgement, done)
            done.scores[brand] = judgement.score
        account.judged = bin_start(clock)
        archive.set_clock(connection, account.partition, account.judged)

    def _weigh(self, connection: Connection, watch: Watch, midnight: float) -> None:
        """Once a day: how much of the brand's flow each source carries, which is what its silence hides."""
        shares = archive.flow(connection, watch.brand, midnight)
        for source, service in watch.services.items():
            watch.services[source] = replace(service, share=shares.get(source, 0) + 1.0)

    def _again(self, connection: Connection, account: Account, brand: str) -> Watch:
        """Another set of sources counts: its whole history is derived again, so that it is no step in the rate."""
        watch = self._load(connection, brand, account.clock or account.judged) or fresh(brand, account.judged)
        account.watches[brand] = watch
        return watch

    def _store(self, connection: Connection, watch: Watch, judgement: Judgement, sealed: int) -> None:
        archive.put_bins(connection, watch.brand, judgement.changed)
        if watch.sealed != sealed:
            config = self._config(watch.brand, dict.fromkeys(watch.counted))
            archive.put_checkpoint(connection, watch.brand, watch.sealed, watch.checkpoints[0].state.to_bytes(), config)

    def _incident(
        self, connection: Connection, account: Account, watch: Watch, judgement: Judgement, done: Done
    ) -> None:
        """Open or close, with the first pages in the same transaction."""
        wall = self._clock.now()
        known = account.open.get(watch.brand)
        if judgement.active and known is None:
            page = watch.page or ongoing(watch, judgement)
            said = quotes.gather(connection, watch.brand, page.since, judgement.at, sorted(watch.counted))
            event = Opened(
                at=judgement.at,
                since=page.since,
                expected=page.expected,
                observed=int(page.observed),
                ratio=page.ratio,
                score=page.score,
                rule=page.rule,
                reason=page.reason,
                evidence=said,
            )
            incident = open_incident(watch.brand, event, wall)
            incident_store.append(connection, incident, event, wall)
            incident, _ = outbox.enqueue_due(connection, incident, self._steps, wall)
            account.open[watch.brand] = incident.id
            done.opened.append(incident)
        elif not judgement.active and known is not None:
            current = incident_store.load_incident(connection, known, lock=True)
            del account.open[watch.brand]
            if current is None or current.state == "closed":
                return
            over = next((v for v in reversed(judgement.verdicts) if v.kind == "close"), None)
            ending = Closed(at=judgement.at, reason=over.reason if over else "What came late took the evidence away.")
            incident = apply(current, ending)
            incident_store.append(connection, incident, ending, wall)
            outbox.enqueue_due(connection, incident, self._steps, wall)
            done.closed.append(incident)

    # --- after it ---------------------------------------------------------------------------------------------------

    def _count(self, partition: int, account: Account, done: Done) -> None:
        metrics, now = self._metrics, self._clock.now()
        for scored, reason in done.reasons:
            if reason != "counted":
                metrics.not_counted.labels(reason).inc()
                continue
            metrics.sentiment.labels(metrics.brand(scored.mention.brand), scored.label).inc()
            metrics.decision_delay.observe(max(0.0, now - scored.mention.time))
        metrics.clock.labels(partition).set(account.judged)
        for brand in done.scores:
            self._show(account.watches[brand], account.judged)
        for brand, score in done.scores.items():
            metrics.score.labels(metrics.brand(brand)).set(score)
        for incident in done.opened:
            metrics.incidents.labels(metrics.brand(incident.brand), "opened").inc()
            logger.warning("incident opened", incident=incident.id, brand=incident.brand, reason=incident.reason)
        for incident in done.closed:
            metrics.incidents.labels(metrics.brand(incident.brand), "closed").inc()
            logger.info("incident closed", incident=incident.id, brand=incident.brand, reason=incident.closed_reason)

    def _show(self, watch: Watch, judged: float) -> None:
        """The last hour as gauges."""
        label = self._metrics.brand(watch.brand)
        starts = np.arange(bin_start(judged) - 3_600, bin_start(judged), 300, dtype=np.int64)
        seen = exposure(starts, evidence(watch.services, judged).values())
        bins = [watch.bins.get(int(s), Bin()) for s in starts]
        state = watch.checkpoints[-1].state
        self._metrics.observed.labels(label).set(sum(b.negative for b in bins))
        self._metrics.expected.labels(label).set(float((usual(state, starts) * seen).sum()))
        self._metrics.exposure.labels(label).set(float(seen.mean()))


def where_to_begin(offset: int, log: str, assigned: Assigned) -> tuple[int, int]:
    """Where to read on, and how many records are lost: another log, or an offset ahead of it, is read from its beginning
    (safe by id); what retention has taken before it was read is counted."""
    if log != assigned.identity or offset > assigned.end:
        return assigned.begin, 0
    return max(offset, assigned.begin), max(0, assigned.begin - offset)


def read(batch: Batch, metrics: Metrics) -> Read:
    """Bytes -> records; unreadable ones for the dead letters, unknown ones counted."""
    out = Read()
    for record in batch.records:
        try:
            out.values.append(decode(record.value))
        except UnknownRecord:
            metrics.skipped.labels(SCORED).inc()
        except UnreadableRecord as fault:
            metrics.dead.labels(SCORED, "unreadable").inc()
            out.dead.append(dead_letters.letter(batch, record, str(fault)))
    return out


async def alert(log: Log, alerter: Alerter, metrics: Metrics, lifecycle: Lifecycle, poke: asyncio.Event) -> None:
    """Read, transact, for ever; whatever fails, the partition is taken again and nothing is lost.

    `poke` is set when something has to be sent, so that a pager in the same process need not wait.
    """
    while True:
        try:
            async with log.subscribe(SCORED, GROUP, alerter.starts, alerter.lost) as subscription:
                lifecycle.ready("alerter")
                async for batch in subscription.batches():
                    with lifecycle.hold("batch to count"):
                        metrics.lag.labels("alerter", batch.partition).set(batch.lag)
                        metrics.oldest.labels("alerter").set(batch.records[0].stamp if batch.records else 0)
                        what = read(batch, metrics)
                        await dead_letters.bury(log, what.dead)
                        done = await alerter.step(batch, what)
                        if done.opened or done.closed:
                            poke.set()
                        await subscription.commit(batch.partition, batch.next_offset)
        except (archive.Fenced, NotOwner) as fault:
            logger.info("partition given up, rejoining", cause=str(fault))
        except DatabaseUnavailable as fault:
            metrics.database.labels("alerter").inc()
            logger.error("the database failed, trying again", cause=str(fault))
        except LogUnavailable as fault:
            metrics.log.labels("alerter").inc()
            logger.error("the log does not answer, trying again", cause=str(fault))
        await asyncio.sleep(RETRY_SECONDS)
