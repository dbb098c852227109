"""`tocsin ack`: somebody takes an incident over."""

from getpass import getuser
from typing import Annotated

import typer

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides


def ack(
    incident: Annotated[str, typer.Argument(help="Its id, as the page says it.", metavar="ID", show_default=False)],
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who takes it over; by default your user name.")
    ] = None,
    config: ConfigFile = CONFIG_FILE,
    set_: Overrides = None,
) -> None:
    """Say that you look after an incident: nobody else is paged about it.

    Example: `tocsin ack 3f9a01bc --by Anna`
    """
    from alerting.acknowledgement import acknowledge
    from alerting.incident import NotPossible
    from services.runtime.clock import WallClock
    from services.runtime.database import Database
    from services.runtime.settings import load

    database = Database(load(config, set_ or ()).database.url)
    try:
        database.check_revision()
        taken = database.run_here(acknowledge, incident.strip(), by or getuser(), WallClock().now())
    except NotPossible as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from fault
    finally:
        database.close()
    typer.echo(f"Incident {taken.id} about {taken.brand} is with {taken.acknowledged_by} now: nobody else is paged.")
