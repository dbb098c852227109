"""`tocsin dead`: records that nobody could read."""

import asyncio
import json
from typing import Annotated, Any

import typer

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides

app = typer.Typer(
    no_args_is_help=True,
    help="Records that nobody could read: kept with where they stood and why. They can be read again once the cause is gone.",
)
Offset = Annotated[int, typer.Argument(min=0, help="Number of the dead letter, as `tocsin dead list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON Lines for machines.")]


@app.command("list")
def list_letters(config: ConfigFile = CONFIG_FILE, set_: Overrides = None, json_: AsJson = False) -> None:
    """List the dead letters, oldest first."""
    from services.dead import letters

    found = asyncio.run(letters(config, set_ or ()))
    if json_:
        for offset, letter in found:
            typer.echo(json.dumps({"number": offset, **_plain(letter)}, ensure_ascii=False))
        return
    if not found:
        typer.echo("There are no dead letters.")
    for offset, letter in found:
        typer.echo(f"{offset:>6}  {letter.topic} {letter.partition}/{letter.offset}  {letter.cause}")


@app.command()
def show(number: Offset, config: ConfigFile = CONFIG_FILE, set_: Overrides = None) -> None:
    """Show one dead letter whole: its bytes, its place and the cause."""
    typer.echo(json.dumps(_plain(_one(config, set_ or (), number)), indent=2, ensure_ascii=False))


@app.command()
def replay(number: Offset, config: ConfigFile = CONFIG_FILE, set_: Overrides = None) -> None:
    """Publish one dead letter again to the topic and partition that it came from."""
    from services.dead import publish_again

    letter = _one(config, set_ or (), number)
    asyncio.run(publish_again(config, set_ or (), letter))
    typer.echo(f"Dead letter {number} was published to {letter.topic} again; it stays in the list.")


def _one(config: Any, overrides: Any, number: int) -> Any:
    from services.dead import letters

    for offset, letter in asyncio.run(letters(config, overrides, start=number, limit=1)):
        if offset == number:
            return letter
    typer.echo(f"There is no dead letter {number}: see `tocsin dead list`.", err=True)
    raise typer.Exit(1)


def _plain(letter: Any) -> dict[str, Any]:
    """The letter with its bytes as text where they are text."""
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "cause": letter.cause,
        "stamp": letter.stamp,
        "key": None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        "value": letter.value.decode("utf-8", "backslashreplace"),
    }
