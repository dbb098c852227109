"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="TOCSIN_CONFIG", metavar="FILE", help="The configuration.", show_default=True
    ),
]
"""Write `config: ConfigFile = CONFIG_FILE`."""
CONFIG_FILE = Path("tocsin.yaml")

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY.KEY=VALUE",
        help="Change one value of the configuration for this run, e.g. sources.0.every=10m. May be given again.",
        show_default=False,
    ),
]
"""Write `set_: Overrides = None`, and hand `set_ or ()` to `services.runtime.settings.load`."""
