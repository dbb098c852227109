"""The file of the embedded log: SQLite statements and their transactions, without threads or waiting.

A record's id is its partition's number in the high bits and its offset in the low 40, so that a partition is one range
of the table. `partition.next` only grows, so an offset is never used twice, whatever retention deletes.
"""

import fcntl
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.runtime.broker import Assigned, Incoming, LogUnavailable, Outgoing

OFFSET_BITS = 40
LAST = (1 << OFFSET_BITS) - 1
APPLICATION = 0x746F6373
"""`tocs`, in the header of the file (PRAGMA application_id)."""
VERSION = 1
BUSY_SECONDS = 1.0
SETUP_SECONDS = 30.0
SWEEP = 5_000
"""Records that one transaction of `sweep` deletes at most."""

_SCHEMA = """
CREATE TABLE log (identity TEXT NOT NULL);
CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, retention REAL NOT NULL);
CREATE TABLE partition (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL REFERENCES topic, number INTEGER NOT NULL,
    first INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, number));
CREATE TABLE record (id INTEGER PRIMARY KEY, stamp REAL NOT NULL, key BLOB, value BLOB NOT NULL);
CREATE TABLE committed (
    reader TEXT NOT NULL, partition INTEGER NOT NULL REFERENCES partition, next INTEGER,
    PRIMARY KEY (reader, partition)) WITHOUT ROWID;
"""

Commits = Mapping[tuple[str, int], int]
"""What groups have done: (group, id of the partition) -> next offset."""


class FileLocked(Exception):
    """Another process is writing; try again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the file knows of one partition for one group."""

    id: int
    number: int
    first: int
    next: int
    committed: int | None

    def assigned(self, identity: str, committed: int | None) -> Assigned:
        """As a member is told; what the group committed a moment ago may not be in the file yet."""
        known = self.committed if committed is None else committed
        return Assigned(self.number, self.first, self.next, known, identity)


class LogFile:
    """One connection to the file, for one thread at a time. Every method raises LogUnavailable or FileLocked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._faults():
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.with_name(path.name + "-setup.lock"), SETUP_SECONDS):
                self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
                try:
                    self._prepare()
                except BaseException:
                    self._db.close()
                    raise

    def _prepare(self) -> None:
        """Make the tables where there are none. Switching to WAL is not safe against another process doing the same."""
        application, version = self._number("application_id"), self._number("user_version")
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (tables and application != APPLICATION) or version > VERSION:
            raise LogUnavailable(
                f"{self.path} was written by a newer Tocsin: install that version again."
                if application == APPLICATION
                else f"{self.path} belongs to another program: name another file for the log, or move this one away."
            )
        for pragma in (
            "page_size=16384",
            "journal_mode=WAL",
            "synchronous=FULL",
            "wal_autocheckpoint=1000",
            "cache_size=-16000",
        ):
            self._db.execute(f"PRAGMA {pragma}")
        if not tables:
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute("INSERT INTO log VALUES (?)", (str(uuid.uuid4()),))
                self._db.execute(f"PRAGMA application_id={APPLICATION}")
                self._db.execute(f"PRAGMA user_version={VERSION}")

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

    def identity(self) -> str:
        """A UUID that was drawn when the file was made."""
        with self._faults():
            return str(self._db.execute("SELECT identity FROM log").fetchone()[0])

    def create(self, topics: Mapping[str, int], retention: float) -> None:
        """Make the topics that are not there, and set the retention of all of them, in seconds."""
        with self._faults(), self._transaction():
            for name, partitions in topics.items():
                self._db.execute(
                    "INSERT INTO topic (name, retention) VALUES (?, ?) ON CONFLICT DO UPDATE SET retention = excluded.retention",
                    (name, retention),
                )
                (topic,) = self._db.execute("SELECT id FROM topic WHERE name = ?", (name,)).fetchone()
                if not self._db.execute("SELECT 1 FROM partition WHERE topic = ?", (topic,)).fetchone():
                    rows = [(topic, number) for number in range(partitions)]
                    self._db.executemany("INSERT INTO partition (topic, number) VALUES (?, ?)", rows)

    def partitions(self, topic: str) -> list[int]:
        """Ids of a topic's partitions, by their numbers. Raises LookupError when there is no such topic."""
        with self._faults():
            found = self._db.execute(
                "SELECT p.id FROM partition p JOIN topic t ON t.id = p.topic WHERE t.name = ? ORDER BY p.number",
                (topic,),
            ).fetchall()
        if not found:
            raise LookupError(f"There is no topic {topic!r} in the log {self.path}.")
        return [partition for (partition,) in found]

    def register(self, group: str, partitions: Sequence[int]) -> None:
        """From now on retention waits for this group."""
        with self._faults(), self._transaction():
            rows = [(group, partition) for partition in partitions]
            self._db.executemany("INSERT OR IGNORE INTO committed (reader, partition) VALUES (?, ?)", rows)

    def append(self, writes: Iterable[tuple[int, Sequence[Outgoing]]], commits: Commits, stamp: float) -> None:
        """One transaction: records at the end of their partitions (by id), and what groups have done."""
        with self._faults(), self._transaction():
            for partition, records in writes:
                (end,) = self._db.execute(
                    "UPDATE partition SET next = next + ? WHERE id = ? RETURNING next", (len(records), partition)
                ).fetchone()
                first = (partition << OFFSET_BITS) + end - len(records)
                rows = [(first + i, stamp, record.key, record.value) for i, record in enumerate(records)]
                self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", rows)
            self._db.executemany(
                "INSERT INTO committed VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
                [(group, partition, next_offset) for (group, partition), next_offset in commits.items()],
            )

    def read(
        self, places: Iterable[tuple[int, int]], records: int, size: int
    ) -> tuple[int, list[Incoming], int] | None:
        """The first of some places (partition's id, offset) that has records: its partition, they, the partition's end.

        So many records and so many bytes at most, but at least one record.
        """
        with self._faults():
            for partition, start in places:
                if found := self._records(partition, start, records, size):
                    (end,) = self._db.execute("SELECT next FROM partition WHERE id = ?", (partition,)).fetchone()
                    return partition, found, end
        return None

    def _records(self, partition: int, start: int, records: int, size: int) -> list[Incoming]:
        base = partition << OFFSET_BITS
        found: list[Incoming] = []
        rows = self._db.execute(
            "SELECT id, stamp, key, value FROM record WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
            (base + start, base + LAST, records),
        )
        for number, stamp, key, value in rows:
            found.append(Incoming(number - base, key, value, stamp))
            size -= len(value) + len(key or b"")
            if size <= 0:
                rows.close()
                break
        return found

    def bounds(self, topic: str, group: str) -> list[Bounds]:
        """What there is of each partition, and what the group has done according to the file."""
        with self._faults():
            rows = self._db.execute(
                "SELECT p.id, p.number, p.first, p.next, c.next FROM partition p JOIN topic t ON t.id = p.topic "
                "LEFT JOIN committed c ON c.partition = p.id AND c.reader = ? WHERE t.name = ? ORDER BY p.number",
                (group, topic),
            ).fetchall()
        return [Bounds(*row) for row in rows]

    def retention(self) -> float | None:
        """The shortest retention of all topics, in seconds; None without topics."""
        with self._faults():
            return self._db.execute("SELECT min(retention) FROM topic").fetchone()[0]  # type: ignore[no-any-return]

    def sweep(self, now: float) -> int:
        """Delete what is older than its topic's retention and what every group has done; how many records went."""
        with self._faults(), self._transaction():
            rows = self._db.execute(
                "SELECT p.id, p.first, min(CASE WHEN c.reader IS NULL THEN p.next ELSE coalesce(c.next, 0) END), t.retention "
                "FROM partition p JOIN topic t ON t.id = p.topic LEFT JOIN committed c ON c.partition = p.id GROUP BY p.id"
            ).fetchall()
            return sum(self._delete(part, first, limit, now - age) for part, first, limit, age in rows)

    def _delete(self, partition: int, first: int, limit: int, before: float) -> int:
        base = partition << OFFSET_BITS
        old = self._db.execute(
            "SELECT id, stamp FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (base + first, base + limit, SWEEP),
        )
        gone = 0
        for number, stamp in old:
            if stamp >= before:
                break
            gone = number - base + 1 - first
        old.close()
        if gone:
            self._db.execute("DELETE FROM record WHERE id >= ? AND id < ?", (base + first, base + first + gone))
            self._db.execute("UPDATE partition SET first = ? WHERE id = ?", (first + gone, partition))
        return gone

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            if _code(fault) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise FileLocked from fault
            raise LogUnavailable(_sentence(self.path, fault)) from fault
        except OSError as fault:
            raise LogUnavailable(f"The log {self.path} cannot be used: {fault.strerror or fault}.") from fault


_SENTENCES = {
    sqlite3.SQLITE_FULL: "The disk of the log {path} is full: free some space there.",
    sqlite3.SQLITE_IOERR: "The disk of the log {path} failed ({fault}): check its free space and its health.",
    sqlite3.SQLITE_READONLY: "The log {path} cannot be written: give this user the right to write the file and its folder.",
    sqlite3.SQLITE_CANTOPEN: "The log {path} cannot be opened: check that the folder exists and that this user may write in it.",
    sqlite3.SQLITE_NOTADB: "{path} is not a log of Tocsin: name another file for the log, or move this one away.",
    sqlite3.SQLITE_CORRUPT: "The log {path} is damaged: move it away, with its -wal and -shm files, and start again.",
}


def _code(fault: sqlite3.Error) -> int:
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF


def _sentence(path: Path, fault: sqlite3.Error) -> str:
    words = _SENTENCES.get(_code(fault), "The log {path} failed: {fault}.")
    return words.format(path=path, fault=fault)


@contextmanager
def locked(path: Path, within: float) -> Iterator[None]:
    """Hold a lock of the operating system, which a process that dies lets go. Raises OSError after `within` seconds."""
    limit = time.monotonic() + within
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.01)
        yield
