"""`tocsin collector`: one stage in a process of its own."""

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides
from services.cli.process import Name, start


def collector(config: ConfigFile = CONFIG_FILE, set_: Overrides = None, name: Name = None) -> None:
    """Run the collector alone: it asks the sources, publishes mentions.

    Several collectors share the sources by leases in the database; one that dies is taken over within two minutes.
    The database has to be migrated before (`tocsin migrate`). SIGTERM drains within 20 seconds.
    """
    start(("collector",), config, set_ or (), name=name, migrate=False)
