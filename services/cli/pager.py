"""`tocsin pager`: one stage in a process of its own."""

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides
from services.cli.process import Name, start


def pager(config: ConfigFile = CONFIG_FILE, set_: Overrides = None, name: Name = None) -> None:
    """Run the pager alone: it tells people until somebody acknowledges.

    It needs only the database, so it goes on while the log is away. Several share the outbox.
    The database has to be migrated before (`tocsin migrate`). SIGTERM drains within 20 seconds.
    """
    start(("pager",), config, set_ or (), name=name, migrate=False)
