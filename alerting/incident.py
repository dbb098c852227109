"""An incident: opened by the detector, acknowledged by a person, closed when it is over. Pure.

It changes by events alone; the snapshot is what the events add up to.
"""

import hashlib
from typing import Literal

import msgspec

from alerting.channel import Quote

State = Literal["open", "acknowledged", "closed"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a page shows besides the numbers."""

    sources: tuple[tuple[str, float], ...] = ()
    languages: tuple[tuple[str, float], ...] = ()
    quotes: tuple[Quote, ...] = ()


class Opened(msgspec.Struct, frozen=True, tag="opened", kw_only=True):
    """The detector says it is a crisis."""

    at: float
    """Event time: end of the bin after which it was decided."""
    since: float
    expected: float
    observed: int
    ratio: float
    score: float
    rule: str
    reason: str
    evidence: Evidence


class Acknowledged(msgspec.Struct, frozen=True, tag="acknowledged", kw_only=True):
    """Somebody has it in hand: no further steps go out."""

    by: str


class Closed(msgspec.Struct, frozen=True, tag="closed", kw_only=True):
    """The detector says that it is over."""

    at: float
    reason: str


class Sent(msgspec.Struct, frozen=True, tag="sent", kw_only=True):
    """A step of the escalation policy was delivered, refused or escalated; changes nothing of the state."""

    step: int
    channel: str
    outcome: str
    reason: str


Event = Opened | Acknowledged | Closed | Sent


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """A crisis of one brand, as its events add up to it."""

    id: str
    brand: str
    state: State
    opened: float
    """Event time."""
    opened_wall: float
    """Wall time: escalation counts from here."""
    since: float
    expected: float
    observed: int
    ratio: float
    score: float
    rule: str
    reason: str
    evidence: Evidence
    acknowledged_by: str | None = None
    closed: float | None = None
    closed_reason: str = ""
    events: int = 1
    """How many events it is made of."""


class NotPossible(Exception):
    """The event does not fit the state; the message says why, for a person."""


def incident_id(brand: str, at: float) -> str:
    """Short, speakable, and the same when the same decision is made again: 8 hexadecimal digits of a hash."""
    return hashlib.sha256(f"{brand}\x00{at:.0f}".encode()).hexdigest()[:8]


def open_incident(brand: str, event: Opened, wall: float) -> Incident:
    """The first event makes the incident."""
    return Incident(
        id=incident_id(brand, event.at),
        brand=brand,
        state="open",
        opened=event.at,
        opened_wall=wall,
        since=event.since,
        expected=event.expected,
        observed=event.observed,
        ratio=event.ratio,
        score=event.score,
        rule=event.rule,
        reason=event.reason,
        evidence=event.evidence,
    )


def apply(incident: Incident, event: Event) -> Incident:
    """The incident after one more event. Raises NotPossible."""
    events = incident.events + 1
    match event:
        case Opened():
            raise NotPossible(f"Incident {incident.id} is open already.")
        case Acknowledged(by=by):
            if incident.state == "closed":
                raise NotPossible(f"Incident {incident.id} is closed: there is nothing to acknowledge any more.")
            if incident.state == "acknowledged":
                raise NotPossible(f"Incident {incident.id} was acknowledged by {incident.acknowledged_by} already.")
            return msgspec.structs.replace(incident, state="acknowledged", acknowledged_by=by, events=events)
        case Closed(at=at, reason=reason):
            if incident.state == "closed":
                raise NotPossible(f"Incident {incident.id} is closed already.")
            return msgspec.structs.replace(incident, state="closed", closed=at, closed_reason=reason, events=events)
        case Sent():
            return msgspec.structs.replace(incident, events=events)
