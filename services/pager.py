"""The pager: incidents -> policy -> outbox -> channels. It needs only the database, so it goes on while the log is down.

No transaction is open while something is sent. Every timer is in the database, so a killed pager forgets nothing.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from alerting import incident_store, outbox
from alerting.channel import Channel, Delivered, Outcome, Refused, TryAgain
from alerting.channels import SEND_SECONDS, attempt
from alerting.incident import Incident, Sent, apply
from alerting.outbox import Claimed
from alerting.policy import Decision, Step, decide
from services.metrics import Metrics
from services.runtime.clock import Clock
from services.runtime.database import Database, DatabaseUnavailable
from services.runtime.lifecycle import Lifecycle

LOOK_SECONDS = 2.0
"""Real seconds between looks for what other processes have written, and between attempts to reach the database."""
AT_ONCE = 4
"""Messages that one channel sends at the same time; a slow one takes nothing away from the others."""

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """What the database says at one time."""

    to_do: list[str]
    """Incidents about which something has to be done now."""
    ask_again: float | None
    not_closed: int
    oldest_waiting: float | None


class Pager:
    """Decides, claims, sends and settles; several of them share one database."""

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Channel],
        steps: Sequence[Step],
        clock: Clock,
        metrics: Metrics,
        lifecycle: Lifecycle,
        *,
        name: str = "local",
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        """`channels` by the names that the steps use; `name` stands in its claims; `send_seconds` bounds one attempt, in
        real time."""
        self._database = database
        self._clock = clock
        self._channels = channels
        self._steps = steps
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._send_seconds = send_seconds
        self._worker = f"{name}:{secrets.token_hex(4)}"
        self._sending: set[asyncio.Task[None]] = set()
        self._finished: list[tuple[asyncio.Task[None], ExitStack]] = []
        self._busy: Counter[str] = Counter()
        self.finished = asyncio.Event()
        """Set when an attempt has been settled: look again."""

    async def step(self, now: float) -> float | None:
        """Do what is due, begin to send it, and return when the next thing is due (None: nothing is planned)."""
        with ExitStack() as in_hand:
            in_hand.enter_context(self._lifecycle.hold("page"))
            finished, self._finished = self._finished, []
            for task, hold in finished:
                in_hand.enter_context(hold)
                task.result()
            look = await self._database.run(self._look, now)
            for incident in look.to_do:
                await self._database.run(self._decide, incident, now)
            for claimed in await self._database.run(self._claim, now):
                self._begin(claimed)
            full = [channel for channel, busy in self._busy.items() if busy >= AT_ONCE]
            due = await self._database.run(outbox.next_due, full)
        self._metrics.open.set(look.not_closed)
        self._metrics.undelivered.set(look.oldest_waiting or 0.0)
        return min((at for at in (due, look.ask_again) if at is not None), default=None)

    async def sent(self) -> None:
        """Wait until everything that is being sent has been settled."""
        while self._sending:
            await asyncio.wait(self._sending)

    def drop(self) -> None:
        """Stop where it is; what was being sent is sent again when its lease has ended, with the same key."""
        for task in self._sending:
            task.cancel()

    def failed(self, what: str, fault: DatabaseUnavailable) -> None:
        """Count and log that the database refused a transaction."""
        self._metrics.database.labels("pager").inc()
        logger.error(what, cause=str(fault))

    # --- inside a transaction ---------------------------------------------------------------------------------------

    def _look(self, connection: Connection, now: float) -> Look:
        """Read only: what would be decided, so that an incident is locked only when there is something to do."""
        found = [incident_store.load_incident(connection, one) for one in outbox.incidents_to_look_at(connection)]
        incidents = [incident for incident in found if incident is not None]
        decisions = {i.id: decide(i, self._steps, outbox.entries(connection, i.id), now) for i in incidents}
        return Look(
            to_do=[incident for incident, decision in decisions.items() if not decision.nothing],
            ask_again=min((d.ask_again for d in decisions.values() if d.ask_again is not None), default=None),
            not_closed=sum(i.state != "closed" for i in incidents),
            oldest_waiting=outbox.oldest_waiting(connection),
        )

    def _decide(self, connection: Connection, incident: str, now: float) -> None:
        current = incident_store.load_incident(connection, incident, lock=True)
        if current is not None:
            _, decision = outbox.enqueue_due(connection, current, self._steps, now)
            _log_decision(current, decision)

    def _claim(self, connection: Connection, now: float) -> list[Claimed]:
        """Count an attempt for everything that is due and begins now."""
        claimed = outbox.claim_unknown(connection, self._worker, list(self._channels), AT_ONCE, now)
        for channel in self._channels:
            free = AT_ONCE - self._busy[channel]
            if free > 0:
                claimed += outbox.claim(connection, self._worker, channel, free, now)
        return claimed

    def _settle(self, connection: Connection, claimed: Claimed, outcome: Outcome, now: float) -> bool:
        """Write the outcome, and what follows from it: a refused step hands its turn to the next one at once."""
        incident = incident_store.load_incident(connection, claimed.incident, lock=True)
        settled = outbox.settle(connection, claimed, outcome, now)
        if incident is None or not settled:
            return settled
        if claimed.kind == "page" and (event := _event(claimed, outcome)):
            incident = apply(incident, event)
            incident_store.append(connection, incident, event, now)
        incident, decision = outbox.enqueue_due(connection, incident, self._steps, now)
        _log_decision(incident, decision)
        return settled

    # --- sending ----------------------------------------------------------------------------------------------------

    def _begin(self, claimed: Claimed) -> None:
        """Send in a task of its own; it is in hand until the step after it, so that no clock runs ahead meanwhile."""
        hold = ExitStack()
        hold.enter_context(self._lifecycle.hold("page"))
        self._busy[claimed.channel] += 1
        task = asyncio.create_task(self._deliver(claimed), name=f"send {claimed.message.key}")
        self._sending.add(task)
        task.add_done_callback(lambda done: self._finish(done, claimed.channel, hold))

    def _finish(self, task: asyncio.Task[None], channel: str, hold: ExitStack) -> None:
        self._sending.discard(task)
        self._busy[channel] -= 1
        self._finished.append((task, hold))
        self.finished.set()

    async def _deliver(self, claimed: Claimed) -> None:
        channel = self._channels.get(claimed.channel)
        if channel is None:
            outcome: Outcome = Refused("unknown_channel")
        else:
            try:
                outcome = await attempt(channel, claimed.message, self._send_seconds)
            except Exception:
                logger.exception("a channel failed", channel=claimed.channel)
                outcome = TryAgain("fault", ambiguous=True)
        self._count(claimed, outcome)
        await self._settle_at_last(claimed, outcome)

    async def _settle_at_last(self, claimed: Claimed, outcome: Outcome) -> None:
        """Until the database takes it; if we are stopped before, the message is sent again with the same key."""
        while True:
            try:
                await self._database.run(self._settle, claimed, outcome, self._clock.now())
            except DatabaseUnavailable as fault:
                self.failed("the database did not take an outcome, trying again", fault)
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return

    def _count(self, claimed: Claimed, outcome: Outcome) -> None:
        message = claimed.message
        said = {
            "channel": claimed.channel,
            "incident": claimed.incident,
            "key": message.key,
            "attempt": message.attempt,
        }
        label = claimed.channel if claimed.channel in self._channels else "unknown"
        match outcome:
            case Delivered(receipt):
                self._metrics.notifications.labels(label, "delivered").inc()
                if claimed.kind == "page":
                    self._metrics.delivery_delay.observe(max(0.0, self._clock.now() - claimed.created))
                logger.info("delivered", receipt=receipt, **said)
            case TryAgain(reason, after, ambiguous):
                self._metrics.notifications.labels(label, "try_again").inc()
                logger.warning("not delivered, trying again", reason=reason, after=after, ambiguous=ambiguous, **said)
            case Refused(reason):
                self._metrics.notifications.labels(label, "refused").inc()
                logger.error("refused for good", reason=reason, **said)


def _event(claimed: Claimed, outcome: Outcome) -> Sent | None:
    match outcome:
        case Delivered():
            return Sent(step=claimed.step, channel=claimed.channel, outcome="delivered", reason="")
        case Refused(reason):
            return Sent(step=claimed.step, channel=claimed.channel, outcome="refused", reason=reason)
        case TryAgain():
            return None


def _log_decision(incident: Incident, decision: Decision) -> None:
    for send in decision.send:
        logger.info("to be sent", incident=incident.id, kind=send.kind, step=send.step, channel=send.channel, reason=send.reason)  # fmt: skip
    for drop in decision.drop:
        logger.info("not sent any more", incident=incident.id, key=drop.key, reason=drop.reason)


async def page(pager: Pager, clock: Clock, lifecycle: Lifecycle, poke: asyncio.Event) -> None:
    """Step whenever something is due or was sent, or `poke` was set, until cancelled.

    `poke` is set by whoever wrote an incident in the same process; what others write is seen within `LOOK_SECONDS`.
    """
    try:
        while True:
            poke.clear()
            pager.finished.clear()
            due = None
            try:
                due = await pager.step(clock.now())
                lifecycle.ready("pager")
            except DatabaseUnavailable as fault:
                pager.failed("the database failed, trying again", fault)
            await _first_of(poke.wait(), pager.finished.wait(), *([] if due is None else [clock.sleep_until(due)]))
    finally:
        pager.drop()


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Until one of them is over, or it is time to look anyway."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
