"""`tocsin init`: a commented example of a configuration."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = files("services.cli") / "example.yaml"


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write it.", show_default=True)] = Path(
        "tocsin.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there already.")] = False,
) -> None:
    """Writes a commented example of a configuration, to be changed to your own brand, sources and channels."""
    try:
        with file.open("w" if force else "x", encoding="utf-8") as target:
            target.write(EXAMPLE.read_text(encoding="utf-8"))
    except FileExistsError:
        typer.echo(f"{file} is there already. Name another file, or write over it with --force.", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"Wrote {file}. Now write your brand and its feeds into it, and try it: tocsin check --config {file}")
