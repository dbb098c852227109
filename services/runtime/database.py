"""One database, SQLite or PostgreSQL: a transaction is an argument, and only services open one."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

P = ParamSpec("P")
T = TypeVar("T")

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30
MIGRATION_LOCK = 7_463_917
"""Key of PostgreSQL's advisory lock around migrations."""


class WrongRevision(Exception):
    """The database is of another version of Tocsin; the message says what to do."""


class PartitionsChanged(Exception):
    """`mentions.scored` has another number of partitions than the stored offsets; the message says what to do."""


class DatabaseUnavailable(Exception):
    """The database did not answer, is full or is locked; the transaction did not happen, or it cannot be known."""


class Database:
    """A pool of connections and the threads that use them.

    SQLite writes from one thread (a file has one writer); PostgreSQL from as many as its pool has.
    """

    def __init__(self, url: str, *, threads: int = 4) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _engine(self.url.render_as_string(hide_password=False), threads)
        self._threads = ThreadPoolExecutor(1 if self.sqlite else threads, thread_name_prefix="database")

    async def run(self, step: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `step(connection, ...)` in a worker thread, inside one transaction that commits when it returns.

        Raises what `step` raises, after a rollback, and DatabaseUnavailable where the database is the cause.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: self.run_here(step, *args, **kwargs))

    def run_here(self, step: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same in the calling thread, for commands."""
        with self._transaction() as connection:
            return step(connection, *args, **kwargs)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as fault:
            if fault.connection_invalidated or _of_the_database(fault):
                raise DatabaseUnavailable(f"The database {self.shown} failed: {fault.orig}.") from fault
            raise

    @property
    def shown(self) -> str:
        """Its address without the password."""
        return self.url.render_as_string(hide_password=True)

    def migrate(self) -> None:
        """Bring the tables to this version, one process at a time."""
        if self.sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as connection:
            if not self.sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            try:
                command.upgrade(_alembic(connection), "head")
            except CommandError as fault:
                raise WrongRevision(
                    f"The database {self.shown} was migrated by a newer Tocsin: install that version again ({fault})."
                ) from fault

    def revision(self) -> str | None:
        """Revision of its tables, or None where there are none yet."""
        if self.sqlite and not Path(self.url.database or "").exists():
            return None
        return self.run_here(lambda connection: MigrationContext.configure(connection).get_current_revision())

    def check_revision(self) -> None:
        """Refuse to work on tables of another version. Raises WrongRevision."""
        wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        found = self.revision()
        if found != wanted:
            raise WrongRevision(
                f"The database {self.shown} is at revision {found or 'none'}, this Tocsin needs {wanted}: "
                "run `tocsin migrate` with the newest version you have installed."
            )

    def close(self) -> None:
        """Wait for running transactions and give the connections back."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()


def _engine(url: str, threads: int) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=threads, max_overflow=2, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


TROUBLES = ("08", "25", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE that speak of the server, not of the statement (PostgreSQL, appendix A): connection, read-only
transaction, rollback (deadlock, serialization), resources (disk full), lock, intervention, system."""


def _of_the_database(fault: DBAPIError) -> bool:
    if (code := getattr(fault.orig, "sqlstate", None)) is not None:
        return str(code)[:2] in TROUBLES
    said = str(fault.orig).lower()
    return any(
        word in said
        for word in ("disk is full", "locked", "readonly", "disk i/o", "unable to open", "connection", "timeout")
    )


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
