"""What collectors remember, in the database: functions over `tables.py` that take an open connection."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ingest.collect import Decision, Seen, SourceState
from ingest.source import SourceConfig
from ingest.tables import collector, seen, source

KEPT_POSTS = 3_000
"""Posts of one source that are remembered beside those of its last document."""
ROWS = 500
"""Rows of one statement: SQLite bounds the number of parameters."""

_STATE = (
    source.c.id,
    source.c.epoch,
    source.c.first_contact,
    source.c.etag,
    source.c.last_modified,
    source.c.body_hash,
    source.c.failures,
    source.c.last_answer,
    source.c.posts_per_day,
    source.c.document_interval,
)

_DUE = (
    select(source.c.id)
    .where(
        source.c.id.in_(bindparam("ids", expanding=True)),
        source.c.next_due <= bindparam("now"),
        or_(source.c.owner.is_(None), source.c.lease_until <= bindparam("now")),
    )
    .order_by(source.c.next_due, source.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CLAIM = (
    update(source)
    .where(source.c.id.in_(bindparam("taken", expanding=True)))
    .values(owner=bindparam("by"), lease_until=bindparam("until"), epoch=source.c.epoch + 1)
    .returning(*_STATE)
)
"""Made once: making a statement costs more than running it."""


def sync_sources(connection: Connection, configs: Iterable[SourceConfig]) -> int:
    """Add the sources that are new in the configuration, due at once; the others stay as they are. Returns how many."""
    rows = [{"id": config.id, "kind": config.kind} for config in configs]
    known = {row.id for row in connection.execute(select(source.c.id))}
    new = list({row["id"]: row for row in rows if row["id"] not in known}.values())
    if new:
        connection.execute(_insert(connection, source).on_conflict_do_nothing(), new)
    return len(new)


def claim_due(
    connection: Connection, ids: Collection[str], *, owner: str, now: float, lease: float, limit: int
) -> list[SourceState]:
    """Take up to `limit` sources of `ids` that are due, longest due first, for `lease` seconds.

    The epoch of each grows, which shuts out whoever held it before.
    """
    values = {"ids": list(ids), "now": now, "most": limit}
    taken = [row.id for row in connection.execute(_DUE, values)]
    if not taken:
        return []
    rows = connection.execute(_CLAIM, {"taken": taken, "by": owner, "until": now + lease})
    states = {row.id: SourceState(**row._mapping) for row in rows}
    return [states[identity] for identity in taken]


def due_times(connection: Connection, ids: Collection[str]) -> dict[str, float]:
    """When each of the sources may be claimed."""
    columns = select(source.c.id, source.c.next_due, source.c.owner, source.c.lease_until)
    rows = connection.execute(columns.where(source.c.id.in_(ids)))
    return {name: due if owner is None else max(due, until) for name, due, owner, until in rows}


def release_all(connection: Connection, owner: str) -> int:
    """Give back what a collector of this name held when it died: it has come back. Returns how many."""
    return connection.execute(
        update(source).where(source.c.owner == owner).values(owner=None, lease_until=0.0)
    ).rowcount


def load_seen(connection: Connection, identity: str, posts: Collection[str]) -> dict[str, Seen]:
    """Those of the posts that this source has shown before."""
    columns = select(seen.c.post, seen.c.hash, seen.c.revision, seen.c.history).where(seen.c.source == identity)
    wanted = list(dict.fromkeys(posts))
    chunks = (wanted[start : start + ROWS] for start in range(0, len(wanted), ROWS))
    rows = (row for chunk in chunks for row in connection.execute(columns.where(seen.c.post.in_(chunk))))
    return {row.post: Seen(row.post, bytes(row.hash), row.revision, bool(row.history)) for row in rows}


def apply(connection: Connection, decision: Decision, now: float) -> bool:
    """Store what follows from a poll and give the source back.

    Returns False, and changes nothing, where another collector has taken the source since.
    """
    state = decision.state
    values: Mapping[str, Any] = {
        "first_contact": state.first_contact,
        "etag": state.etag,
        "last_modified": state.last_modified,
        "body_hash": state.body_hash,
        "failures": state.failures,
        "last_answer": state.last_answer,
        "posts_per_day": state.posts_per_day,
        "document_interval": state.document_interval,
        "next_due": decision.next_due,
        "last_poll": now,
        "last_reason": decision.reason,
        "owner": None,
        "lease_until": 0.0,
    }
    mine = (source.c.id == state.id, source.c.epoch == state.epoch)
    if connection.execute(update(source).where(*mine).values(**values)).rowcount != 1:
        return False
    if decision.seen:
        _remember(connection, state.id, decision.seen, now)
        prune_seen(connection, state.id, now)
    return True


def _remember(connection: Connection, identity: str, rows: Iterable[Seen], now: float) -> None:
    values = [
        {
            "source": identity,
            "post": row.post,
            "hash": row.hash,
            "revision": row.revision,
            "history": row.history,
            "last_seen": now,
        }
        for row in rows
    ]
    connection.execute(_remembering(connection.dialect.name), values)


@lru_cache(maxsize=2)
def _remembering(dialect: str) -> Any:
    """Insert posts, or what has changed of them; made once, since making it costs more than running it."""
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(seen)
    fresh = {name: statement.excluded[name] for name in ("hash", "revision", "last_seen")}
    return statement.on_conflict_do_update(index_elements=[seen.c.source, seen.c.post], set_=fresh)


def prune_seen(connection: Connection, identity: str, now: float, keep: int = KEPT_POSTS) -> int:
    """Forget the posts seen longest ago, beyond about `keep`; those of the document read at `now` stay. Returns how many."""
    mine = seen.c.source == identity
    edge = select(seen.c.last_seen).where(mine).order_by(seen.c.last_seen.desc()).offset(max(keep - 1, 0)).limit(1)
    oldest = connection.execute(edge).scalar()
    if oldest is None:
        return 0
    return connection.execute(delete(seen).where(mine, seen.c.last_seen < min(oldest, now))).rowcount


def _insert(connection: Connection, table: Any) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


# --- collectors: who writes Progress ---------------------------------------------------------------------------------


def sign_of_life(connection: Connection, name: str, now: float) -> None:
    """This collector is there."""
    statement = _insert(connection, collector).values(name=name, alive=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"alive": now}))


def dead_collectors(connection: Connection, before: float) -> list[str]:
    """Collectors without a sign of life since `before`: somebody has to say goodbye for them."""
    return list(connection.execute(select(collector.c.name).where(collector.c.alive < before)).scalars())


def bury_collector(connection: Connection, name: str, before: float) -> None:
    """The goodbye was published; one that has come back meanwhile stays."""
    connection.execute(delete(collector).where(collector.c.name == name, collector.c.alive < before))
