"""Functions on the alerter's tables. Each takes an open connection: a transaction is an argument."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, bindparam, case, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from alerting import tables as t
from alerting.bins import Bin, Service
from alerting.detector import BIN_SECONDS
from classify.sentiment import ScoredMention
from ingest.mention import Mention, Poll

DAY = 86_400
NEW = -1
"""Next offset of a partition that nothing was read from yet."""
ROWS_A_STATEMENT = 500
"""Bounds a statement's parameters (SQLite takes 32,766)."""


class Fenced(Exception):
    """Another alerter owns the partition, or its offset has moved: forget everything and rejoin."""


def upserting(connection: Connection, table: Table) -> Any:
    """`INSERT` that knows `ON CONFLICT`, in the connection's dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _put(
    connection: Connection, table: Table, keys: tuple[str, ...], changing: tuple[str, ...], rows: list[dict[str, Any]]
) -> None:
    """Insert rows, or change some columns of those that are there."""
    for part in _parts(rows):
        connection.execute(_replacing(connection.dialect.name, table, keys, changing), part)


@lru_cache(maxsize=32)
def _replacing(dialect: str, table: Table, keys: tuple[str, ...], changing: tuple[str, ...]) -> Any:
    """The statement of `_put`, made once: making it costs more than running it."""
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    excluded = statement.excluded
    return statement.on_conflict_do_update(index_elements=keys, set_={name: excluded[name] for name in changing})


# --- progress: the database decides who owns a partition -----------------------------------------------------------


def take(
    connection: Connection, partition: int, partitions: int, log: str
) -> tuple[int, int | None, str, float | None]:
    """Become the owner of a partition: its epoch grows.

    Returns (epoch, next offset or None where nothing was read yet, identity of the log it belongs to, clock).
    """
    statement = upserting(connection, t.progress).values(
        partition=partition, partitions=partitions, log=log, next_offset=NEW, epoch=1
    )
    row = connection.execute(
        statement.on_conflict_do_update(index_elements=["partition"], set_={"epoch": t.progress.c.epoch + 1}).returning(
            t.progress.c.epoch, t.progress.c.next_offset, t.progress.c.log, t.progress.c.clock
        )
    ).one()
    return row.epoch, None if row.next_offset == NEW else row.next_offset, row.log, row.clock


def known_partitions(connection: Connection) -> set[int]:
    """The numbers of partitions that the stored progress was made with (one, or none at the first start)."""
    return set(connection.execute(select(t.progress.c.partitions).distinct()).scalars())


def reset_offset(connection: Connection, partition: int, epoch: int, log: str, offset: int, lost: int) -> None:
    """Begin elsewhere: the log is another one, or has lost what came before `offset`."""
    done = connection.execute(
        update(t.progress)
        .where(t.progress.c.partition == partition, t.progress.c.epoch == epoch)
        .values(log=log, next_offset=offset, lost=t.progress.c.lost + lost)
    )
    if done.rowcount != 1:
        raise Fenced(f"partition {partition}")


def advance(connection: Connection, partition: int, epoch: int, start: int, end: int) -> None:
    """First statement of every transaction: whoever is not the owner, or not at `start`, writes nothing."""
    done = connection.execute(
        update(t.progress)
        .where(t.progress.c.partition == partition, t.progress.c.epoch == epoch, t.progress.c.next_offset == start)
        .values(next_offset=end)
    )
    if done.rowcount != 1:
        raise Fenced(f"partition {partition}: epoch {epoch} at offset {start} is not current any more")


def set_clock(connection: Connection, partition: int, clock: float) -> None:
    """Every bin that ended by `clock` has been judged."""
    connection.execute(update(t.progress).where(t.progress.c.partition == partition).values(clock=clock))


# --- mentions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """How a mention is counted so far."""

    history: bool
    source: str


def stored(connection: Connection, ids: Iterable[str]) -> dict[str, Stored]:
    """Those of the mentions that are there already."""
    out: dict[str, Stored] = {}
    for part in _parts(sorted(set(ids))):
        rows = connection.execute(
            select(t.mention.c.id, t.mention.c.history, t.mention.c.source).where(t.mention.c.id.in_(part))
        )
        out.update({row.id: Stored(row.history, row.source) for row in rows})
    return out


def add_mentions(connection: Connection, scored: Sequence[ScoredMention], late: Mapping[str, bool]) -> None:
    """Insert what is new; an edit with a higher revision replaces texts and label."""
    for part in _parts(list(_unique(scored).values())):
        rows = [_mention_row(s, late[s.mention.id]) for s in part]
        connection.execute(upserting(connection, t.mention).on_conflict_do_nothing(), rows)
    edits = [s for s in scored if s.mention.revision]
    if edits:
        connection.execute(_EDIT, [_edit_row(s) for s in edits])


def adopt(connection: Connection, mention: Mention) -> None:
    """A mention that was kept and not counted is seen in a way that counts: it does from now on."""
    connection.execute(
        update(t.mention)
        .where(t.mention.c.id == mention.id)
        .values(history=False, source=mention.source, kind=mention.kind, collected=mention.collected)
    )


_EDITED = ("title", "text", "label", "negative", "neutral", "positive", "relevance", "language", "model", "revision")
_EDIT = (
    update(t.mention)
    .where(t.mention.c.id == bindparam("b_id"), t.mention.c.revision < bindparam("b_revision"))
    .values({name: bindparam(f"b_{name}") for name in _EDITED})
)


def _unique(scored: Sequence[ScoredMention]) -> dict[str, ScoredMention]:
    """By id; the first wins."""
    out: dict[str, ScoredMention] = {}
    for s in scored:
        out.setdefault(s.mention.id, s)
    return out


def _mention_row(scored: ScoredMention, late: bool) -> dict[str, Any]:
    m = scored.mention
    return {
        "id": m.id,
        "brand": m.brand,
        "time": m.time,
        **_scores(scored),
        "url": m.url,
        "title": _storable(m.title),
        "text": _storable(m.text),
        "author": m.author and _storable(m.author),
        "source": m.source,
        "kind": m.kind,
        "collected": m.collected,
        "history": m.history,
        "late": late,
        "revision": m.revision,
    }


def _scores(scored: ScoredMention) -> dict[str, Any]:
    return {
        "label": scored.label,
        "negative": scored.sentiment.negative,
        "neutral": scored.sentiment.neutral,
        "positive": scored.sentiment.positive,
        "relevance": scored.relevance,
        "language": scored.language,
        "model": scored.model,
    }


def _edit_row(scored: ScoredMention) -> dict[str, Any]:
    m = scored.mention
    values = {"title": _storable(m.title), "text": _storable(m.text), **_scores(scored), "revision": m.revision}
    return {"b_id": m.id, **{f"b_{name}": value for name, value in values.items()}}


def _storable(text: str) -> str:
    """PostgreSQL stores no NUL, and neither stores half a surrogate pair."""
    return text.replace("\x00", " ").encode("utf-8", "replace").decode()


def add_sightings(connection: Connection, scored: Sequence[ScoredMention]) -> None:
    """Through which sources each mention was seen."""
    rows = {(s.mention.id, s.mention.source): s.mention.collected for s in scored}
    for part in _parts([{"mention": m, "source": s, "at": at} for (m, s), at in rows.items()]):
        connection.execute(upserting(connection, t.sighting).on_conflict_do_nothing(), part)


def forget_polls(connection: Connection, partition: int, before: float) -> None:
    """Drop the polls from before a time: no judgement is derived from them any more."""
    connection.execute(delete(t.poll).where(t.poll.c.partition == partition, t.poll.c.at < before))


def add_polls(connection: Connection, partition: int, polls: Sequence[Poll]) -> None:
    """What was asked, and whether it answered."""
    rows = {
        (p.source, p.at): {
            "partition": partition,
            "source": p.source,
            "at": p.at,
            "answered": p.answered,
            "reason": p.reason[:60],
            "items": p.items,
        }
        for p in polls
    }
    for part in _parts(list(rows.values())):
        connection.execute(upserting(connection, t.poll).on_conflict_do_nothing(), part)


def put_paths(connection: Connection, partition: int, paths: Mapping[tuple[str, int], float]) -> None:
    """How far each collector's clock has come, on each path."""
    rows = [{"partition": partition, "collector": c, "via": v, "at": at} for (c, v), at in paths.items()]
    _put(connection, t.path, ("partition", "collector", "via"), ("at",), rows)


def drop_collector(connection: Connection, partition: int, collector: str) -> None:
    """It has left: nobody waits for it any more."""
    connection.execute(t.path.delete().where(t.path.c.partition == partition, t.path.c.collector == collector))


def load_paths(connection: Connection, partition: int) -> dict[tuple[str, int], float]:
    """(collector, via) -> clock."""
    rows = connection.execute(select(t.path).where(t.path.c.partition == partition))
    return {(r.collector, r.via): r.at for r in rows}


def put_services(connection: Connection, services: Mapping[tuple[str, str], Service]) -> None:
    """(brand, source) -> since when it has answered, and up to when."""
    rows = [{"brand": b, "source": s, "since": v.since, "last_answer": v.last_answer} for (b, s), v in services.items()]
    _put(connection, t.source_service, ("brand", "source"), ("last_answer",), rows)


def load_services(connection: Connection, brand: str, clock: float) -> dict[str, Service]:
    """Sources of a brand, with their shares of its flow as they were at the last midnight before `clock`."""
    rows = connection.execute(select(t.source_service).where(t.source_service.c.brand == brand)).all()
    shares = flow(connection, brand, clock // DAY * DAY)
    return {r.source: Service(r.since, r.last_answer, shares.get(r.source, 0) + 1.0) for r in rows}


def flow(connection: Connection, brand: str, until: float) -> dict[str, int]:
    """Counted mentions of a brand by source, over the 14 days before `until`."""
    found = connection.execute(
        select(t.mention.c.source, func.count())
        .where(_counted(brand), t.mention.c.time >= until - 14 * DAY, t.mention.c.time < until)
        .group_by(t.mention.c.source)
    )
    return {source: number for source, number in found}  # noqa: C416 - rows are no tuples to mypy


# --- bins: a cache of what the mentions say -------------------------------------------------------------------------


def _counted(brand: str) -> Any:
    return and_(t.mention.c.brand == brand, ~t.mention.c.history, ~t.mention.c.late, t.mention.c.relevance >= 0.5)


def load_bins(connection: Connection, brand: str, start: float, sources: Iterable[str]) -> dict[int, Bin]:
    """Counts from the stored mentions, from `start` on, of the sources in evidence."""
    number = func.floor(t.mention.c.time / BIN_SECONDS)
    statement: Select[Any] = (
        select(
            number,
            func.sum(case((t.mention.c.label == "negative", 1), else_=0)),
            func.sum(case((t.mention.c.label == "unsure", 1), else_=0)),
            func.count(),
        )
        .where(_counted(brand), t.mention.c.time >= start, t.mention.c.source.in_(list(sources)))
        .group_by(number)
    )
    return {
        int(n) * BIN_SECONDS: Bin(negative=int(negative), unsure=int(unsure), total=int(total))
        for n, negative, unsure, total in connection.execute(statement)
    }


def put_bins(connection: Connection, brand: str, bins: Mapping[int, Bin]) -> None:
    """Write counts as they are now."""
    rows = [
        {"brand": brand, "start": s, "negative": b.negative, "copies": b.copies, "unsure": b.unsure, "total": b.total}
        for s, b in bins.items()
    ]
    _put(connection, t.bin, ("brand", "start"), ("negative", "copies", "unsure", "total"), rows)


def put_checkpoint(connection: Connection, brand: str, at: int, state: bytes, config: str) -> None:
    """The sealed state of the detector."""
    row = {"brand": brand, "at": at, "state": state, "config": config}
    _put(connection, t.detector_checkpoint, ("brand",), ("at", "state", "config"), [row])


def load_checkpoint(connection: Connection, brand: str, config: str) -> tuple[int, bytes] | None:
    """The sealed state, if it was made under the same configuration."""
    row = connection.execute(
        select(t.detector_checkpoint).where(
            t.detector_checkpoint.c.brand == brand, t.detector_checkpoint.c.config == config
        )
    ).one_or_none()
    return None if row is None else (int(row.at), row.state)


def _parts(rows: list[Any]) -> Iterable[list[Any]]:
    return (rows[i : i + ROWS_A_STATEMENT] for i in range(0, len(rows), ROWS_A_STATEMENT))
