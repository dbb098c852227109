"""Somebody takes an incident over: it is written down, and what waits to be sent about it is not sent any more."""

from sqlalchemy import Connection

from alerting import incident_store, outbox
from alerting.incident import Acknowledged, Incident, NotPossible, apply

MOST_NAME = 200


def acknowledge(connection: Connection, incident: str, by: str, now: float) -> Incident:
    """One transaction of the caller. Raises NotPossible with a sentence for the person who asked."""
    current = incident_store.load_incident(connection, incident, lock=True)
    if current is None:
        raise NotPossible(f"There is no incident {incident}. See the open ones with `tocsin incidents`.")
    event = Acknowledged(by=by[:MOST_NAME])
    changed = apply(current, event)
    incident_store.append(connection, changed, event, now)
    outbox.enqueue_due(connection, changed, (), now)
    return changed
