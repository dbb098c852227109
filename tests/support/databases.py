"""An empty database of Tocsin, on SQLite and on PostgreSQL."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from alerting.tables import metadata
from services.runtime.database import Database

NAME = f"tocsin_test_{os.getpid()}"


@pytest.fixture(scope="session")
def postgres_database(postgres: str) -> Iterator[str]:
    """Address of a migrated database; each test empties it."""
    administer(postgres, f"CREATE DATABASE {NAME}")
    address = make_url(postgres).set(database=NAME).render_as_string(hide_password=False)
    database = Database(address)
    database.migrate()
    database.close()
    yield address
    administer(postgres, f"DROP DATABASE {NAME} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that others are copied from."""
    file = tmp_path_factory.mktemp("template") / "tocsin.db"
    database = Database(f"sqlite:///{file}")
    database.migrate()
    database.close()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a migrated, empty database that nobody else uses."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "tocsin.db")
        yield f"sqlite:///{tmp_path}/tocsin.db"
        return
    url = request.getfixturevalue("postgres_database")
    administer(url, f"TRUNCATE {', '.join(metadata.tables)}")
    yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, open."""
    opened = Database(database_url)
    yield opened
    opened.close()


def administer(server: str, statement: str) -> None:
    """One statement outside of any transaction."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
