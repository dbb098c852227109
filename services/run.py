"""Puts the stages together: all in one process, or one of them in each."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from alerting.channels import make
from alerting.detector import Settings as DetectorSettings
from alerting.policy import Step
from classify.language import Languages
from classify.score import Scorer
from ingest.brand import Matcher
from services.alerter import Alerter, alert
from services.classifier import classify
from services.collector import Collector, collect
from services.metrics import Metrics
from services.models import open_model
from services.pager import Pager, page
from services.runtime.broker import DEAD, MENTIONS, SCORED, Log, LogUnavailable
from services.runtime.clock import Clock
from services.runtime.connect import open_log
from services.runtime.database import Database
from services.runtime.lifecycle import DRAIN_SECONDS, Lifecycle
from services.runtime.settings import Settings
from services.web.health import serve

STAGES = ("collector", "classifier", "alerter", "pager")
"""In the order of the data, which is the order in which they stop."""
IN_HAND = {
    "collector": ("schedule", "poll"),
    "classifier": ("batch to score",),
    "alerter": ("batch to count",),
    "pager": ("page",),
}
"""What each of them has in hand while it works."""

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parts:
    """What the stages stand on."""

    settings: Settings
    clock: Clock
    lifecycle: Lifecycle
    metrics: Metrics
    database: Database
    log: Log | None
    poke: asyncio.Event
    name: str


async def run(
    settings: Settings,
    *,
    clock: Clock,
    lifecycle: Lifecycle,
    metrics: Metrics,
    stages: Sequence[str] = STAGES,
    name: str = "local",
    migrate: bool = True,
    listen: bool = True,
    log: Log | None = None,
) -> None:
    """Run some stages until `lifecycle.stopping` is set, then drain; a stage that dies ends them all.

    Args:
        settings: the configuration.
        clock: where they get the time from.
        lifecycle: tells the others what is ready and in hand.
        metrics: where they count.
        stages: which ones.
        name: of this process among those of its kind; a collector that comes back under its name goes on at once.
        migrate: bring the database to this version first (otherwise another version is refused).
        listen: serve /livez, /readyz and /metrics.
        log: an open one to use, which stays open; by default the one that the settings name.
    """
    async with AsyncExitStack() as stack:
        database = Database(settings.database.url)
        stack.callback(database.close)
        await asyncio.to_thread(database.migrate if migrate else database.check_revision)
        if log is None and set(stages) != {"pager"}:
            log = await open_log(settings.log, clock, name=name)
            stack.push_async_callback(log.close)
        if log is not None:
            await create_topics(log, settings)
        metrics.expect([brand.name for brand in settings.brands], settings.channels)
        parts = Parts(settings, clock, lifecycle, metrics, database, log, asyncio.Event(), name)
        async with asyncio.TaskGroup() as group:
            if listen:
                web = group.create_task(serve(settings.http.listen, lifecycle, metrics), name="web")
            ready = {stage: await START[stage](parts, stack) for stage in STAGES if stage in stages}
            tasks = {stage: group.create_task(begin(), name=stage) for stage, begin in ready.items()}
            logger.info("at work", stages=list(tasks))
            await lifecycle.stopping.wait()
            await drain(tasks, lifecycle, log)
            if listen:
                web.cancel()
        logger.info("stopped")


async def create_topics(log: Log, settings: Settings) -> None:
    """The topics, where they do not exist yet."""
    await log.create({MENTIONS: settings.log.width, SCORED: settings.log.width}, retention=settings.log.retention)
    await log.create({DEAD: 1}, retention=settings.log.retention)


async def drain(tasks: dict[str, "asyncio.Task[None]"], lifecycle: Lifecycle, log: Log | None) -> None:
    """Stop in the order of the data: each finishes what it has in hand; after `DRAIN_SECONDS` it is cut off.

    What is cut off is done again at the next start.
    """
    deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
    behind = {"classifier": (MENTIONS, "classifier"), "alerter": (SCORED, "alerter")}

    async def busy(stage: str) -> bool:
        if any(map(lifecycle.in_hand, IN_HAND[stage])):
            return True
        before = STAGES[STAGES.index(stage) - 1]
        if log is None or stage not in behind or before not in tasks:
            return False
        try:
            return await log.lag(*behind[stage]) > 0
        except LogUnavailable:
            return False  # it waits in the log

    for stage in STAGES:
        if stage not in tasks:
            continue
        try:
            async with asyncio.timeout_at(deadline):
                while await busy(stage):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            logger.warning("cut off", stage=stage)
        tasks[stage].cancel()
        await asyncio.wait([tasks[stage]], timeout=2.0)


Stage = Callable[[], Coroutine[Any, Any, None]]
Start = Callable[[Parts, AsyncExitStack], Coroutine[Any, Any, Stage]]
"""Makes everything a stage needs; what cannot work says so before any stage has begun."""


async def _collector(parts: Parts, stack: AsyncExitStack) -> Stage:
    assert parts.log is not None
    settings = parts.settings
    collector = Collector(
        parts.name,
        settings.sources,
        Matcher(settings.brands),
        parts.log,
        parts.database,
        parts.clock,
        parts.metrics,
        parts.lifecycle,
        contact=settings.http.contact,
    )
    stack.push_async_callback(collector.close)
    return partial(collect, collector)


async def _classifier(parts: Parts, _stack: AsyncExitStack) -> Stage:
    assert parts.log is not None
    model = await asyncio.to_thread(open_model, parts.settings.model.name)
    languages = await asyncio.to_thread(Languages, parts.settings.languages)
    parts.metrics.build.info({"model": model.name})
    return partial(classify, parts.log, Scorer(model, languages), parts.clock, parts.metrics, parts.lifecycle)


async def _alerter(parts: Parts, _stack: AsyncExitStack) -> Stage:
    assert parts.log is not None
    settings = parts.settings
    alerter = Alerter(
        parts.database,
        {brand.name: fingerprint(brand.model_dump_json()) for brand in settings.brands},
        [source.id for source in settings.sources],
        DetectorSettings(settings.detector.pages_per_month, settings.detector.sensitivity),
        steps(settings),
        await parts.log.partitions(SCORED),
        parts.clock,
        parts.metrics,
    )
    return partial(alert, parts.log, alerter, parts.metrics, parts.lifecycle, parts.poke)


async def _pager(parts: Parts, stack: AsyncExitStack) -> Stage:
    channels = {name: make(config) for name, config in parts.settings.channels.items()}
    for channel in channels.values():
        stack.push_async_callback(channel.close)
    pager = Pager(
        parts.database, channels, steps(parts.settings), parts.clock, parts.metrics, parts.lifecycle, name=parts.name
    )
    return partial(page, pager, parts.clock, parts.lifecycle, parts.poke)


START: dict[str, Start] = {"collector": _collector, "classifier": _classifier, "alerter": _alerter, "pager": _pager}


def steps(settings: Settings) -> tuple[Step, ...]:
    """The escalation policy as the configuration says it."""
    return tuple(Step(step.channel, step.to, step.after) for step in settings.paging)


def fingerprint(text: str) -> str:
    """Short hash of a part of the configuration."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
