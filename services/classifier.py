"""The classifier: mentions -> mentions.scored. It holds nothing; more of them share the partitions."""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from classify.score import Scorer
from classify.sentiment import ScoredMention
from ingest.mention import Mention, Progress, UnknownRecord, UnreadableRecord, decode, encode
from services.metrics import Metrics
from services.runtime import dead_letters
from services.runtime.broker import MENTIONS, SCORED, Batch, Incoming, Log, LogUnavailable, NotOwner, Outgoing
from services.runtime.clock import Clock
from services.runtime.lifecycle import Lifecycle

GROUP = "classifier"
DISAGREES = 300.0
"""Seconds by which a collector's clock may differ from the log's stamp; beyond, its Progress moves nothing."""
RETRY_SECONDS = 2.0

logger = structlog.get_logger()


async def classify(log: Log, scorer: Scorer, clock: Clock, metrics: Metrics, lifecycle: Lifecycle) -> None:
    """Read, score, publish, commit, for ever: publish results, then commit, so nothing is lost."""
    paths = await log.partitions(MENTIONS)
    targets = await log.partitions(SCORED)
    while True:
        try:
            async with log.subscribe(MENTIONS, GROUP, lost=partial(metrics.forget, "classifier")) as subscription:
                lifecycle.ready("classifier")
                async for batch in subscription.batches():
                    with lifecycle.hold("batch to score"):
                        metrics.lag.labels("classifier", batch.partition).set(batch.lag)
                        metrics.oldest.labels("classifier").set(batch.records[0].stamp if batch.records else 0)
                        try:
                            await _one(log, scorer, batch, paths, targets, clock.is_wall, metrics)
                            await subscription.commit(batch.partition, batch.next_offset)
                        except NotOwner:
                            logger.info("partition given up", partition=batch.partition)
        except LogUnavailable as fault:
            metrics.log.labels("classifier").inc()
            logger.error("the log does not answer, trying again", cause=str(fault))
        await asyncio.sleep(RETRY_SECONDS)


async def _one(
    log: Log, scorer: Scorer, batch: Batch, paths: int, targets: int, check_clock: bool, metrics: Metrics
) -> None:
    """Score one batch; Progress goes on behind everything that came before it."""
    mentions: list[Mention] = []
    out: list[Outgoing] = []
    dead: list[dead_letters.DeadLetter] = []
    for record in batch.records:
        try:
            value = decode(record.value)
        except UnknownRecord:
            metrics.skipped.labels(MENTIONS).inc()
            continue
        except UnreadableRecord as fault:
            metrics.dead.labels(MENTIONS, "unreadable").inc()
            dead.append(dead_letters.letter(batch, record, str(fault)))
            continue
        if isinstance(value, Mention):
            mentions.append(value)
            continue
        out += await _scored(scorer, mentions, metrics)
        mentions = []
        if check_clock and disagrees(value, record):
            metrics.progress_refused.inc()
            logger.warning("progress refused", collector=value.collector, at=value.at, stamp=record.stamp)
            continue
        out += forwarded(value, batch.partition, paths, targets)
    out += await _scored(scorer, mentions, metrics)
    await dead_letters.bury(log, dead)
    await publish(log, out, metrics)


def disagrees(progress: Progress, record: Incoming) -> bool:
    """Whether a collector's clock is so wrong that it must not move anything."""
    return abs(progress.at - record.stamp) > DISAGREES


def forwarded(progress: Progress, path: int, paths: int, targets: int) -> list[Outgoing]:
    """The same Progress for every partition of `mentions.scored`, with the path it came on."""
    value = encode(
        Progress(
            collector=progress.collector,
            at=progress.at,
            polls=progress.polls,
            leaving=progress.leaving,
            path=path,
            paths=paths,
        )
    )
    return [Outgoing(value, partition=target) for target in range(targets)]


async def _scored(scorer: Scorer, mentions: Sequence[Mention], metrics: Metrics) -> list[Outgoing]:
    """Score in a thread: a model that holds the event loop would be thrown out of its group."""
    if not mentions:
        return []
    with metrics.score_seconds.time():
        results: list[ScoredMention] = await asyncio.to_thread(scorer.score, mentions)
    for s in results:
        metrics.scored.labels(s.language, s.label).inc()
    return [Outgoing(encode(s), key=s.mention.brand.encode()) for s in results]


async def publish(log: Log, out: Sequence[Outgoing], metrics: Metrics) -> None:
    """Until it is there: back-pressure waits."""
    while out:
        try:
            await log.publish(SCORED, out)
        except LogUnavailable as fault:
            metrics.log.labels("classifier").inc()
            logger.error("the log does not answer, trying again", cause=str(fault))
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return
