"""What has to be sent about an incident, and what need not be sent any more. Pure.

An open incident escalates until somebody acknowledges it: at any time as many steps have gone out as are wanted by
then, and one more for each that was refused for good, so that a step which can reach nobody hands its turn to the next
one at once. After the last step, the last one that was not refused is repeated. From the acknowledgement on nothing is
sent, but for one message where a page had arrived, that it is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alerting.incident import Incident

Kind = Literal["page", "close"]
EntryState = Literal["waiting", "delivered", "refused", "obsolete"]
Reason = Literal["opened", "not_acknowledged", "earlier_step_refused", "repeated", "acknowledged", "closed", "too_late"]
"""Why something is sent (the first four, and `closed`) or dropped."""

REPEAT_SECONDS = 1_800.0
REPEATS = 6
CLOSE_SECONDS = 3_600.0
"""How long it is tried to say that an incident is over."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the escalation policy."""

    channel: str
    to: str | None = None
    """Whom to tell there; None: whom the channel tells by default."""
    after: float = 0.0
    """Seconds since the incident opened."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the outbox knows of one message. Times are wall time."""

    key: str
    kind: Kind
    step: int
    channel: str
    to: str
    state: EntryState
    created: float
    busy_until: float = 0.0
    """Up to when somebody may be sending it."""


@dataclass(frozen=True, slots=True)
class Send:
    """Put a message into the outbox."""

    kind: Kind
    step: int
    channel: str
    to: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Drop:
    """Stop trying to send a message."""

    key: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and when to ask again if nothing happens before."""

    send: tuple[Send, ...] = ()
    drop: tuple[Drop, ...] = ()
    ask_again: float | None = None

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do now."""
        return not self.send and not self.drop


def decide(incident: Incident, steps: Sequence[Step], entries: Sequence[Entry], now: float) -> Decision:
    """What follows from an incident and from what was sent about it.

    Args:
        incident: as its last event left it.
        steps: the escalation policy.
        entries: everything the outbox holds about this incident.
        now: wall time.
    """
    match incident.state:
        case "open":
            return _escalate(incident.opened_wall, steps, entries, now)
        case "acknowledged":
            return _drop_pages(entries, "acknowledged", now)
        case "closed":
            return _close(entries, now)


def _escalate(opened: float, steps: Sequence[Step], entries: Sequence[Entry], now: float) -> Decision:
    """Steps go out in the order of their times; `opened` is the wall time that these count from."""
    ordered = sorted(steps, key=lambda step: step.after)
    pages = sorted((e for e in entries if e.kind == "page"), key=lambda e: e.step)
    following = pages[-1].step + 1 if pages else 0
    if following >= len(ordered):
        return _repeat(ordered, pages, following, now)
    refused = sum(e.state == "refused" for e in pages)
    reached = sum(opened + step.after <= now for step in ordered)
    wanted = min(len(ordered), reached + refused)
    send = tuple(
        Send("page", n, ordered[n].channel, ordered[n].to or "", _reason(ordered[n], opened, now))
        for n in range(following, wanted)
    )
    out = max(wanted, following)
    return Decision(send, ask_again=opened + ordered[out - refused].after if out < len(ordered) else None)


def _reason(step: Step, opened: float, now: float) -> Reason:
    if opened + step.after > now:
        return "earlier_step_refused"
    return "not_acknowledged" if step.after > 0 else "opened"


def _repeat(steps: Sequence[Step], pages: Sequence[Entry], following: int, now: float) -> Decision:
    """Again every half hour, unless the last attempt to reach the same people is still waiting."""
    if not steps or following >= len(steps) + REPEATS:
        return Decision()
    newest = {(e.channel, e.to): e for e in pages}
    reachable = [s for s in steps if newest.get(_whom(s)) is None or newest[_whom(s)].state != "refused"]
    step = (reachable or list(steps))[-1]
    last = newest.get(_whom(step))
    if last is not None and last.state == "waiting":
        return Decision()
    due = max(e.created for e in pages) + REPEAT_SECONDS
    if now < due:
        return Decision(ask_again=due)
    return Decision((Send("page", following, step.channel, step.to or "", "repeated"),))


def _whom(step: Step) -> tuple[str, str]:
    return step.channel, step.to or ""


def _drop_pages(entries: Sequence[Entry], reason: Reason, now: float) -> Decision:
    """Pages that wait are not sent any more; one that is being sent now is looked at again afterwards."""
    waiting = [e for e in entries if e.kind == "page" and e.state == "waiting"]
    busy = [e.busy_until for e in waiting if e.busy_until > now]
    return Decision(
        drop=tuple(Drop(e.key, reason) for e in waiting if e.busy_until <= now), ask_again=min(busy, default=None)
    )


def _close(entries: Sequence[Entry], now: float) -> Decision:
    pages = _drop_pages(entries, "closed", now)
    closes = [e for e in entries if e.kind == "close"]
    told = {(e.channel, e.to) for e in closes}
    send: list[Send] = []
    for e in sorted(entries, key=lambda e: e.step):
        if e.kind == "page" and e.state == "delivered" and (e.channel, e.to) not in told:
            told.add((e.channel, e.to))
            send.append(Send("close", e.step, e.channel, e.to, "closed"))
    late = [
        Drop(e.key, "too_late")
        for e in closes
        if e.state == "waiting" and e.busy_until <= now and e.created + CLOSE_SECONDS <= now
    ]
    return Decision(tuple(send), (*pages.drop, *late), pages.ask_again)
