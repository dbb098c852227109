"""Plays the demo: Tocsin as it is, in a small world of its own, on a clock that jumps."""

import asyncio
import logging
import secrets
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import structlog
from sqlalchemy import Connection, select

from alerting import tables as t
from services.alerter import GROUP as ALERTER
from services.classifier import GROUP as CLASSIFIER
from services.demo import config, report
from services.demo.clock import VirtualClock, drive
from services.demo.receivers import Inbox
from services.demo.report import Report
from services.demo.screen import Screen, picture
from services.demo.server import PREFERRED, Site, address, listen, serve_http, serve_smtp
from services.demo.watched import WatchedLifecycle, WatchedLog
from services.demo.world import BEGINS, World
from services.metrics import Metrics
from services.run import STAGES, run
from services.runtime.broker import MENTIONS, SCORED
from services.runtime.connect import open_log
from services.runtime.database import Database
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import Settings, load

ROOM = 500_000_000
"""Bytes that have to be free for a demo in memory."""
LONGEST = 1_800.0
"""Seconds after which a demo that does not come to its end is given up."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the world."""

    keep: bool = False
    kafka: str | None = None
    svg: Path | None = None


async def play(world: World, options: Options, screen: Screen, done: Callable[[Report], None]) -> Report:
    """Play one demo. `done` is called with its report; what is kept running goes on after it until a signal."""
    began = time.monotonic()
    _tidy_up_after_sigterm()
    clock = VirtualClock(BEGINS)
    inbox = Inbox(clock.now)
    with room() as folder, logs_in(folder / "tocsin.log"):
        async with outside(world, inbox, clock) as addresses:
            screen.world(world, addresses.base)
            settings = load(config.write(folder, addresses, options.kafka))
            async with at_work(settings, clock, options) as inside:
                over = Over(world, clock, inbox, inside.database, len(settings.paging))
                with screen.progress(world.ends) as told:
                    async with asyncio.timeout(LONGEST):
                        await drive(clock, inside.busy, lambda: over.at(told))
                found = await inside.database.run(report.read, world)
                outcome = Report(world, found, inbox.counts, time.monotonic() - began, clock.now())
                sources = config.titles(addresses.base)
                screen.outcome(outcome, inbox, sources)
                if options.svg and found.page:
                    picture(found.page, sources, options.svg)
                done(outcome)
                if options.keep:
                    await go_on(inside.lifecycle, clock, screen, addresses, folder)
    return outcome


def _tidy_up_after_sigterm() -> None:
    """A demo that is told to end removes its files, as after Ctrl-C."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def go_on(
    lifecycle: Lifecycle, clock: VirtualClock, screen: Screen, addresses: config.Addresses, folder: Path
) -> None:
    """Let the world go on at the speed of the real one, until somebody stops it."""
    lifecycle.stop_on_signals()
    clock.run_on()
    screen.kept(addresses, folder)
    await lifecycle.stopping.wait()


@contextmanager
def room() -> Iterator[Path]:
    """A folder that is gone afterwards: in memory where there is room, because a demo need not survive a power cut."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it gets a name that nobody can guess
    try:
        roomy = shutil.disk_usage(memory).free > ROOM
    except OSError:
        roomy = False
    try:
        folder = tempfile.TemporaryDirectory(prefix="tocsin-demo-", dir=memory if roomy else None)
    except OSError:
        folder = tempfile.TemporaryDirectory(prefix="tocsin-demo-")
    with folder as name:
        yield Path(name)


@contextmanager
def logs_in(file: Path) -> Iterator[None]:
    """Tocsin's own log lines go into a file."""
    handlers = logging.getLogger().handlers
    with file.open("w", encoding="utf-8") as stream:
        _log_to(stream)
        try:
            yield
        finally:
            structlog.reset_defaults()
            logging.getLogger().handlers = handlers


def _log_to(stream: TextIO) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    logging.getLogger().handlers = [logging.StreamHandler(stream)]


@asynccontextmanager
async def outside(world: World, inbox: Inbox, clock: VirtualClock) -> AsyncIterator[config.Addresses]:
    """The world's servers."""
    http, smtp, health = listen(PREFERRED["http"]), listen(PREFERRED["smtp"]), listen()
    addresses = config.Addresses("http://{}:{}".format(*address(http)), address(smtp), "{}:{}".format(*address(health)))
    health.close()
    site = Site(world, inbox, clock.now, addresses.base)
    async with serve_http(site.app, http), serve_smtp(inbox, smtp):
        yield addresses


@dataclass(frozen=True, slots=True)
class Inside:
    """Tocsin at work, as the demo sees it."""

    lifecycle: Lifecycle
    log: WatchedLog
    database: Database
    waiting: Callable[[], bool]
    """Whether a page waits that is due."""

    async def busy(self) -> bool:
        """Whether anything is in flight. Asked in the order of the data: what has left one stage is seen by the next."""
        return (
            not self.lifecycle.idle
            or await self.log.lag(MENTIONS, CLASSIFIER) > 0
            or await self.log.lag(SCORED, ALERTER) > 0
            or not self.lifecycle.idle
            or self.waiting()
        )


@asynccontextmanager
async def at_work(settings: Settings, clock: VirtualClock, options: Options) -> AsyncIterator[Inside]:
    """Tocsin with all its stages; drained when the block is left."""
    prefix = f"demo-{secrets.token_hex(4)}-" if options.kafka else ""
    log = WatchedLog(await open_log(settings.log, clock, name="demo"), clock.changed, prefix)
    database = Database(settings.database.url)
    lifecycle = WatchedLifecycle(clock.changed, *STAGES)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                run(settings, clock=clock, lifecycle=lifecycle, metrics=Metrics(), log=log, listen=options.keep),
                name="tocsin",
            )
            await lifecycle.started.wait()
            with waiting_pages(Path(str(database.url.database)), clock) as waiting:
                yield Inside(lifecycle, log, database, waiting)
            lifecycle.stopping.set()
    finally:
        database.close()
        await log.close()


@contextmanager
def waiting_pages(file: Path, clock: VirtualClock) -> Iterator[Callable[[], bool]]:
    """Tells whether a page is due that has not been sent: read by a connection of its own, cheap enough for each jump."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        question = "SELECT EXISTS (SELECT 1 FROM outbox WHERE state = 'waiting' AND due <= ?)"
        yield lambda: bool(connection.execute(question, (clock.now(),)).fetchone()[0])


class Over:
    """Decides when the demo is over: the crisis was paged on every step of the policy, or it is too late for that."""

    def __init__(self, world: World, clock: VirtualClock, inbox: Inbox, database: Database, steps: int) -> None:
        self._world = world
        self._clock = clock
        self._inbox = inbox
        self._database = database
        self._steps = steps
        self._seen = 0

    def at(self, told: Callable[[float], None]) -> bool:
        """Called whenever the world is at rest."""
        told(self._clock.now())
        received = sum(self._inbox.counts.values())
        if received != self._seen:
            self._seen = received
            if self._database.run_here(self._paged_everywhere):
                return True
        due = self._clock.next_due
        return due is not None and due > self._world.ends

    def _paged_everywhere(self, connection: Connection) -> bool:
        crisis = self._world.crisis
        if crisis is None:
            return False
        rows = connection.execute(
            select(t.outbox.c.step)
            .join(t.incident, t.incident.c.id == t.outbox.c.incident)
            .where(
                t.incident.c.brand == crisis.brand,
                t.incident.c.opened > crisis.begins,
                t.outbox.c.key.like("%-page"),
                t.outbox.c.state != "waiting",
            )
        )
        return len({row.step for row in rows}) == self._steps
