"""What has to be sent: written with the decision, claimed before it is sent, settled afterwards.

Each function takes an open connection. A claim counts the attempt and is committed before anything is sent, so that
after a crash the same message is tried again with the same key, and a channel that can be asked sends it once.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, case, func, select, update

from alerting import tables as t
from alerting.archive import upserting
from alerting.channel import Delivered, Message, Outcome, Page, Refused, TryAgain
from alerting.incident import Incident, Sent, apply
from alerting.incident_store import append
from alerting.policy import Decision, Drop, Entry, Kind, Send, Step, decide

LEASE_SECONDS = 60.0
"""How long a claim holds; longer than a send may take."""
FIRST_DELAY, LONGEST_DELAY = 5.0, 300.0
"""Seconds of the back-off: doubled at each attempt, then halved at random."""
LONGEST_WAIT = 3_600.0
"""Seconds that a channel may ask us to wait."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that one worker has in hand."""

    id: int
    incident: str
    kind: Kind
    step: int
    channel: str
    created: float
    message: Message


# --- deciding -------------------------------------------------------------------------------------------------------


def enqueue_due(
    connection: Connection, incident: Incident, steps: Sequence[Step], now: float
) -> tuple[Incident, Decision]:
    """Do what the policy says about one incident, in the transaction of the caller, who holds the incident's lock.

    Returns the incident (escalations are events of it) and what was done.
    """
    decision = decide(incident, steps, entries(connection, incident.id), now)
    for drop in decision.drop:
        _drop(connection, drop, now)
    for send in decision.send:
        _enqueue(connection, incident, send, now)
        if send.kind == "page" and send.reason != "opened":
            event = Sent(step=send.step, channel=send.channel, outcome="escalated", reason=send.reason)
            incident = apply(incident, event)
            append(connection, incident, event, now)
    return incident, decision


def entries(connection: Connection, incident: str) -> list[Entry]:
    """Everything about one incident, in the order in which it was written."""
    o = t.outbox.c
    rows = connection.execute(
        select(o.key, o.step, o.channel, o.recipient, o.state, o.created, o.claimed_until)
        .where(o.incident == incident)
        .order_by(o.id)
    )
    return [
        Entry(r.key, _kind(r.key), r.step, r.channel, r.recipient, r.state, r.created, r.claimed_until) for r in rows
    ]


def page_about(incident: Incident, kind: Kind) -> Page:
    """Everything that a message says, as the incident stands now."""
    evidence = incident.evidence
    return Page(
        incident=incident.id,
        kind=kind,
        brand=incident.brand,
        opened=incident.opened,
        since=incident.since,
        expected=incident.expected,
        observed=incident.observed,
        ratio=incident.ratio,
        rule=incident.rule,
        reason=incident.closed_reason if kind == "close" else incident.reason,
        sources=evidence.sources,
        languages=evidence.languages,
        quotes=evidence.quotes,
        acknowledge="" if kind == "close" else f"tocsin ack {incident.id}",
    )


def _key(incident: str, step: int, kind: Kind) -> str:
    return f"{incident}-{step}-{kind}"


def _kind(key: str) -> Kind:
    return "close" if key.endswith("-close") else "page"


def _enqueue(connection: Connection, incident: Incident, send: Send, now: float) -> None:
    """Idempotent by the key."""
    row = {
        "key": _key(incident.id, send.step, send.kind),
        "incident": incident.id,
        "step": send.step,
        "channel": send.channel,
        "recipient": send.to,
        "page": msgspec.to_builtins(page_about(incident, send.kind)),
        "state": "waiting",
        "due": now,
        "created": now,
    }
    connection.execute(upserting(connection, t.outbox).values(row).on_conflict_do_nothing(index_elements=["key"]))


def _drop(connection: Connection, drop: Drop, now: float) -> None:
    o = t.outbox.c
    connection.execute(
        update(t.outbox)
        .where(o.key == drop.key, o.state == "waiting", o.claimed_until <= now)
        .values(state="obsolete", outcome=drop.reason, settled=now)
    )


# --- sending --------------------------------------------------------------------------------------------------------


def claim(connection: Connection, worker: str, channel: str, limit: int, now: float) -> list[Claimed]:
    """Take messages of one channel that are due, oldest first; another worker does not get them until the lease ends."""
    return _claim(connection, worker, t.outbox.c.channel == channel, limit, now)


def claim_unknown(connection: Connection, worker: str, known: Sequence[str], limit: int, now: float) -> list[Claimed]:
    """Take messages for channels that are not in the configuration any more."""
    return _claim(connection, worker, t.outbox.c.channel.not_in(known), limit, now)


def _claim(connection: Connection, worker: str, which: ColumnElement[bool], limit: int, now: float) -> list[Claimed]:
    o = t.outbox.c
    due = (
        select(o.id)
        .where(which, o.state == "waiting", o.due <= now, o.claimed_until <= now)
        .order_by(o.due, o.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = connection.execute(due).scalars().all()
    if not ids:
        return []
    rows = connection.execute(
        update(t.outbox)
        .where(o.id.in_(ids))
        .values(claimed_by=worker, claimed_until=now + LEASE_SECONDS, attempts=o.attempts + 1)
        .returning(t.outbox)
    )
    return sorted((_claimed(row, now) for row in rows), key=lambda c: c.id)


def _claimed(row: Any, now: float) -> Claimed:
    page = msgspec.convert(row.page, Page)
    message = Message(key=row.key, to=row.recipient, page=page, attempt=row.attempts, at=now)
    return Claimed(row.id, row.incident, _kind(row.key), row.step, row.channel, row.created, message)


def settle(connection: Connection, claimed: Claimed, outcome: Outcome, now: float) -> bool:
    """Write down what became of an attempt; False where another attempt has settled it already.

    Delivered and refused are true whoever found out, and a delivery even after it was no longer wanted; a later attempt
    is only planned by the newest one.
    """
    o = t.outbox.c
    mine = update(t.outbox).where(o.id == claimed.id)
    waiting = mine.where(o.state == "waiting")
    match outcome:
        case Delivered(receipt):
            unsettled = mine.where(o.state.in_(["waiting", "obsolete"]))
            statement = unsettled.values(state="delivered", outcome=receipt[:500], settled=now, claimed_until=0)
        case Refused(reason):
            statement = waiting.values(state="refused", outcome=reason, settled=now, claimed_until=0)
        case TryAgain(reason, after, ambiguous):
            due = now + delay(claimed.message.key, claimed.message.attempt, after)
            said = f"{reason} (it may have arrived)" if ambiguous else reason
            statement = waiting.where(o.attempts == claimed.message.attempt).values(
                due=due, outcome=said, claimed_until=0
            )
    return connection.execute(statement).rowcount == 1


def delay(key: str, attempt: int, after: float | None) -> float:
    """Seconds until the next attempt: what the other side asked for, or more.

    Doubles from `FIRST_DELAY` to `LONGEST_DELAY`; the jitter takes up to half of it away and depends on key and attempt
    alone, so that the same history gives the same times.
    """
    seed = hashlib.sha256(f"{key}\x00{attempt}".encode()).digest()
    backoff = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempt - 1, 20)) * random.Random(seed).uniform(0.5, 1.0)
    return max(backoff, min(after or 0.0, LONGEST_WAIT))


# --- looking --------------------------------------------------------------------------------------------------------


def next_due(connection: Connection, full: Sequence[str] = ()) -> float | None:
    """When the next message can be claimed, leaving out channels that take no more now."""
    o = t.outbox.c
    when = case((o.claimed_until > o.due, o.claimed_until), else_=o.due)
    return connection.execute(select(func.min(when)).where(o.state == "waiting", o.channel.not_in(full))).scalar()


def oldest_waiting(connection: Connection) -> float | None:
    """When the oldest message was written that has not arrived."""
    return connection.execute(select(func.min(t.outbox.c.created)).where(t.outbox.c.state == "waiting")).scalar()


def incidents_to_look_at(connection: Connection) -> list[str]:
    """Ids of incidents that are not closed, or have messages waiting."""
    waiting = select(t.outbox.c.incident).where(t.outbox.c.state == "waiting")
    rows = select(t.incident.c.id).where((t.incident.c.state != "closed") | t.incident.c.id.in_(waiting))
    return list(connection.execute(rows.order_by(t.incident.c.opened)).scalars())
