"""The command `tocsin`. Each command is one file here with one function of the same name, loaded when it is called."""

from importlib import import_module
from importlib.metadata import version as installed_version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from services.cli.failures import explain

COMMANDS = {
    "Run": {
        "init": "Write a commented example of a configuration.",
        "check": "Try the configuration: every source once, and with --send every channel.",
        "run": "Watch, judge and page, all in this one process.",
        "collector": "Ask the sources and put new mentions into the log.",
        "classifier": "Judge the mentions in the log.",
        "alerter": "Count judged mentions and open incidents.",
        "pager": "Tell people about incidents until somebody acknowledges.",
        "demo": "See a crisis break over an invented brand, in two minutes.",
    },
    "Try single stages": {
        "fetch": "Read a feed or a page and print what is in it.",
        "classify": "Judge texts, one JSON object in each line.",
        "detect": "Say when counts from a CSV file would have paged.",
    },
    "People": {
        "incidents": "List what is going on.",
        "ack": "Say that you look after an incident.",
    },
    "Operate": {
        "migrate": "Bring the tables of the database to this version.",
        "dead": "List, show and replay records that could not be read.",
        "skip": "Move one record that stops a process to the dead letters.",
    },
}
"""Every command, in the groups of the help. The files are not imported to show it."""
HIDDEN = ("reference",)

EPILOG = (
    "First steps: `tocsin init`, write your brand and its feeds into tocsin.yaml, `tocsin check`, `tocsin run`.\n\n"
    "Without a configuration: `tocsin demo`, or `tocsin fetch https://example.com/feed.xml --brand Kometa`.\n\n"
    "Exit codes: 0 done, 1 it failed, 2 the command or the configuration is wrong, 130 interrupted."
)


class Commands(TyperGroup):
    """Loads a command when it is called, and turns what goes wrong in it into one sentence."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command in place of its line in the help."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else placeholder, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Failures are said on stderr; with TOCSIN_DEBUG=1 they show where they come from."""
        with explain():
            return super().invoke(ctx)


def load_command(name: str) -> Any:
    """Import the file of a command: it holds a function of that name, or `app` with sub-commands."""
    module = import_module(f"services.cli.{name}")
    if hasattr(module, "app"):
        return typer.main.get_group(module.app)
    single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    single.command(name)(getattr(module, name))
    return typer.main.get_command(single)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tocsin {installed_version('tocsin')}")
        raise typer.Exit


def _tocsin(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """An early warning for brand crises.

    Reads what is published about your brands, judges it in 32 languages, and pages whoever is on call while the wave is still small.
    """


def _placeholder() -> None:
    """Stands for a command until it is called."""


def _application() -> typer.Typer:
    application = typer.Typer(
        cls=Commands, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False, epilog=EPILOG
    )
    application.callback()(_tocsin)
    for group, commands in COMMANDS.items():
        for name, sentence in commands.items():
            application.command(name, help=sentence, rich_help_panel=group)(_placeholder)
    for name in HIDDEN:
        application.command(name, hidden=True)(_placeholder)
    return application


app = _application()


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="tocsin")
