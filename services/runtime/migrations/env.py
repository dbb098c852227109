"""Runs inside the connection that `Database.migrate` opened."""

from alembic import context

from alerting.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
