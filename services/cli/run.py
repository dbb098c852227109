"""`tocsin run`: everything in one process."""

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides
from services.cli.process import start


def run(config: ConfigFile = CONFIG_FILE, set_: Overrides = None) -> None:
    """Collect, classify, alert and page, all in this process, until Ctrl-C.

    It needs nothing but its configuration: the log and the database are two files beside it. Health and metrics are
    served on `http.listen` (/livez /readyz /metrics). SIGTERM drains within 20 seconds.
    """
    start(("collector", "classifier", "alerter", "pager"), config, set_ or (), name=None, migrate=True)
