"""`tocsin skip`: past a record that kills the process."""

import asyncio
from typing import Annotated

import typer

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides

GROUPS = {"mentions": "classifier", "mentions.scored": "alerter"}


def skip(
    topic: Annotated[str, typer.Argument(help="mentions, or mentions.scored.")],
    partition: Annotated[int, typer.Argument(min=0)],
    offset: Annotated[int, typer.Argument(min=0, help="Of the record that is to be passed over.")],
    config: ConfigFile = CONFIG_FILE,
    set_: Overrides = None,
) -> None:
    """Move one record to the dead letters and go on behind it.

    Stop the processes that read the topic first (the classifiers of `mentions`, the alerters of `mentions.scored`).
    It is refused unless the record is the very next one to be read, so that nothing else is passed over.
    """
    if topic not in GROUPS:
        raise typer.BadParameter(f"There is no topic {topic!r}: say mentions or mentions.scored.")
    from services.skip import NotNext, skip_record

    try:
        typer.echo(asyncio.run(skip_record(config, set_ or (), topic, GROUPS[topic], partition, offset)))
    except NotNext as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from fault
