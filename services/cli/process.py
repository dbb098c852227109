"""Runs stages as a process: settings, signals, logs, exit."""

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[
    str | None,
    typer.Option(
        envvar="TOCSIN_NAME",
        help="Name among the processes of its kind, which no other may have; by default the host's with the number of "
        "the process.",
        show_default=False,
    ),
]


def start(stages: Sequence[str], config: Path, overrides: Sequence[str], *, name: str | None, migrate: bool) -> None:
    """Run until SIGTERM or SIGINT, then drain. What ends a stage is raised as it is, without its group."""
    from services.metrics import Metrics
    from services.run import run
    from services.runtime.clock import WallClock
    from services.runtime.lifecycle import Lifecycle
    from services.runtime.logs import configure
    from services.runtime.settings import load

    settings = load(config, overrides)
    configure()

    async def main() -> None:
        lifecycle = Lifecycle(*stages)
        lifecycle.stop_on_signals()
        await run(
            settings,
            clock=WallClock(),
            lifecycle=lifecycle,
            metrics=Metrics(),
            stages=stages,
            name=name or default_name(stages),
            migrate=migrate,
        )

    try:
        asyncio.run(main())
    except BaseExceptionGroup as group:
        raise first(group) from group


def default_name(stages: Sequence[str]) -> str:
    """`local` for everything in one process; else the host, which a container orchestrator makes unique, and the
    process, which makes two on one host differ."""
    if len(stages) > 1:
        return "local"
    return f"{socket.gethostname()}-{os.getpid()}"


def first(group: BaseException) -> BaseException:
    """The first fault inside nested groups: the others are its consequences."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
