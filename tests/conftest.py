"""Fixtures that tests of several folders use; hypothesis measures no time: a busy machine is no fault of the code."""

from hypothesis import HealthCheck, settings

from tests.support.databases import database, database_url, postgres_database, sqlite_template
from tests.support.postgres import postgres

__all__ = ["database", "database_url", "postgres", "postgres_database", "sqlite_template"]

settings.register_profile("tocsin", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tocsin")
