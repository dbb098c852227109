"""`tocsin dead`: records that nobody could read."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides

if TYPE_CHECKING:
    from services.runtime.dead_letters import DeadLetter

app = typer.Typer(
    no_args_is_help=True,
    help="Records that nobody could read: kept with where they stood and why. They can be read again once the cause is gone.",
)
Offset = Annotated[int, typer.Argument(min=0, help="Number of the dead letter, as `tocsin dead list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON Lines for machines.")]


@app.command("list")
def list_letters(
    config: ConfigFile = CONFIG_FILE,
    set_: Overrides = None,
    start: Annotated[int, typer.Option(min=0, help="Number of the first dead letter to list.")] = 0,
    json_: AsJson = False,
) -> None:
    """List the dead letters, oldest first."""
    asyncio.run(_list(config, set_ or (), start, json_))


async def _list(config: Path, overrides: Sequence[str], start: int, as_json: bool) -> None:
    from services.dead import letters

    some = False
    async for number, letter in letters(config, overrides, start=start):
        some = True
        if as_json:
            typer.echo(json.dumps({"number": number, **_plain(letter)}, ensure_ascii=False))
        else:
            typer.echo(f"{number:>6}  {letter.topic} {letter.partition}/{letter.offset}  {one_line(letter.cause)}")
    if not some and not as_json:
        typer.echo("There are no dead letters.")


@app.command()
def show(number: Offset, config: ConfigFile = CONFIG_FILE, set_: Overrides = None) -> None:
    """Show one dead letter whole: its bytes, its place and the cause."""
    letter = asyncio.run(_one(config, set_ or (), number))
    typer.echo(json.dumps(_plain(letter), indent=2, ensure_ascii=False))


@app.command()
def replay(number: Offset, config: ConfigFile = CONFIG_FILE, set_: Overrides = None) -> None:
    """Publish one dead letter again to the topic and partition that it came from."""
    from services.dead import publish_again

    letter = asyncio.run(_one(config, set_ or (), number))
    try:
        asyncio.run(publish_again(config, set_ or (), letter))
    except ValueError as fault:
        typer.echo(f"Dead letter {number}: {fault}", err=True)
        raise typer.Exit(1) from fault
    typer.echo(f"Dead letter {number} was published to {letter.topic} again; it stays in the list.")


async def _one(config: Path, overrides: Sequence[str], number: int) -> "DeadLetter":
    from services.dead import letters

    async for offset, letter in letters(config, overrides, start=number, together=1):
        if offset == number:
            return letter
        break
    typer.echo(f"There is no dead letter {number}: see `tocsin dead list`.", err=True)
    raise typer.Exit(1)


def one_line(text: str) -> str:
    """Without what a terminal would obey: a cause can quote bytes from outside."""
    return "".join(c if c.isprintable() else " " for c in text)


def _plain(letter: "DeadLetter") -> dict[str, Any]:
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
