"""`tocsin demo`: a crisis breaks over an invented brand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.demo.report import Report

TERMINATED = 143
"""Exit code after SIGTERM."""


def demo(
    *,
    seed: Annotated[
        int, typer.Option(help="Which world: brand, hour, size and shape of the crisis follow from it.")
    ] = 1,
    calm: Annotated[bool, typer.Option("--calm", help="A world without a crisis: nobody is to be paged.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the outcome as JSON.", dir_okay=False)
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write the page as a picture.", dir_okay=False)
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Leave everything running afterwards, at the speed of the real clock, until Ctrl-C."
        ),
    ] = False,
    kafka: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Run over this Kafka, in topics of its own, instead of the embedded log; it takes several times as long.",
        ),
    ] = None,
) -> None:
    """See Tocsin at work in two minutes: no account, no network, no database.

    A small world on this machine publishes feeds and reviews about three invented brands in six languages. After two
    quiet weeks, which pass within seconds because the clock jumps, a crisis breaks over one of them. Tocsin, with the
    settings of `tocsin init`, has to page about it, and about nothing else; otherwise the exit code is 1.
    """
    import asyncio
    import json

    from services.cli.process import first
    from services.demo.play import Options, play
    from services.demo.screen import Screen
    from services.demo.world import DAY, build

    def done(report: "Report") -> None:
        if json_file:
            json_file.write_text(json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    world = build(seed, calm=calm, afterwards=14 * DAY if keep else 0.0)
    try:
        report = asyncio.run(play(world, Options(keep, kafka, svg), Screen(), done))
    except asyncio.CancelledError as fault:
        raise typer.Exit(TERMINATED) from fault
    except BaseExceptionGroup as group:
        raise first(group) from group
    if not report.good:
        raise typer.Exit(1)
