"""`tocsin alerter`: one stage in a process of its own."""

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides
from services.cli.process import Name, start


def alerter(config: ConfigFile = CONFIG_FILE, set_: Overrides = None, name: Name = None) -> None:
    """Run the alerter alone: it counts, judges, opens incidents.

    Run as many as `mentions.scored` has partitions, or fewer; each owns some of them.
    The database has to be migrated before (`tocsin migrate`). SIGTERM drains within 20 seconds.
    """
    start(("alerter",), config, set_ or (), name=name, migrate=False)
