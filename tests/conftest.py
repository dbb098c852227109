"""Fixtures that tests of several folders use."""

from tests.support.databases import database, database_url, postgres_database, sqlite_template
from tests.support.postgres import postgres

__all__ = ["database", "database_url", "postgres", "postgres_database", "sqlite_template"]
