"""`tocsin classifier`: one stage in a process of its own."""

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides
from services.cli.process import Name, start


def classifier(config: ConfigFile = CONFIG_FILE, set_: Overrides = None, name: Name = None) -> None:
    """Run the classifier alone: it scores mentions.

    Run as many as there is text to score; they share the partitions of `mentions`.
    The database has to be migrated before (`tocsin migrate`). SIGTERM drains within 20 seconds.
    """
    start(("classifier",), config, set_ or (), name=name, migrate=False)
