"""Incidents in the database: their events, and a snapshot after each. A transaction is an argument."""

import msgspec
from sqlalchemy import Connection, insert, select, update

from alerting import tables as t
from alerting.incident import Event, Incident


def append(connection: Connection, incident: Incident, event: Event, wall: float) -> None:
    """Write one event and the snapshot after it, in the transaction of the caller."""
    connection.execute(
        insert(t.incident_event).values(
            incident=incident.id,
            number=incident.events,
            at=wall,
            kind=type(event).__name__.lower(),
            body=msgspec.to_builtins(event),
        )
    ) if incident.events > 1 else _create(connection, incident, event, wall)
    connection.execute(
        update(t.incident)
        .where(t.incident.c.id == incident.id)
        .values(state=incident.state, closed=incident.closed, snapshot=msgspec.to_builtins(incident))
    )


def _create(connection: Connection, incident: Incident, event: Event, wall: float) -> None:
    connection.execute(
        insert(t.incident).values(
            id=incident.id,
            brand=incident.brand,
            state=incident.state,
            opened=incident.opened,
            opened_wall=incident.opened_wall,
            snapshot=msgspec.to_builtins(incident),
        )
    )
    connection.execute(
        insert(t.incident_event).values(
            incident=incident.id, number=1, at=wall, kind="opened", body=msgspec.to_builtins(event)
        )
    )


def load_open(connection: Connection, brand: str | None = None) -> list[Incident]:
    """Incidents that are not closed, oldest first; of one brand there is at most one."""
    statement = select(t.incident.c.snapshot).where(t.incident.c.state != "closed").order_by(t.incident.c.opened)
    if brand is not None:
        statement = statement.where(t.incident.c.brand == brand)
    return [msgspec.convert(row, Incident) for row in connection.execute(statement).scalars()]


def load_recent(connection: Connection, limit: int) -> list[Incident]:
    """The newest incidents, closed ones too, newest first."""
    newest = select(t.incident.c.snapshot).order_by(t.incident.c.opened.desc(), t.incident.c.id).limit(limit)
    return [msgspec.convert(row, Incident) for row in connection.execute(newest).scalars()]


def load_incident(connection: Connection, incident: str, *, lock: bool = False) -> Incident | None:
    """One incident by its id; `lock` keeps others from changing it until the transaction ends."""
    statement = select(t.incident.c.snapshot).where(t.incident.c.id == incident)
    row = connection.execute(statement.with_for_update() if lock else statement).scalar()
    return None if row is None else msgspec.convert(row, Incident)
