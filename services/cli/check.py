"""`tocsin check`: does the configuration work?"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides

if TYPE_CHECKING:
    from services.check import ChannelReport, SourceReport
    from services.runtime.settings import Settings


def check(
    config: ConfigFile = CONFIG_FILE,
    set_: Overrides = None,
    send: Annotated[
        bool, typer.Option("--send", help="Also send a trial message to everybody who would be paged.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Tries the configuration: asks every source once and says what it saw; with --send, tries every channel.

    Nothing is stored, and nothing has to run. Ends with 1 when a source or a channel failed, with 2 when the
    configuration has a mistake.
    """
    from services.cli.console import progress_bar
    from services.runtime.clock import WallClock
    from services.runtime.settings import load

    settings, now = load(config, set_ or ()), WallClock().now()
    with progress_bar("Asking sources", len(settings.sources)) as tick:
        sources, channels = asyncio.run(_try(settings, now, send, tick))
    if json_:
        _print_json(sources, channels)
    else:
        _print_tables(sources, channels, now)
        _print_advice(settings, sources, channels)
    if _any_failed(sources, channels):
        raise typer.Exit(1)


def _any_failed(sources: "Sequence[SourceReport]", channels: "Sequence[ChannelReport]") -> bool:
    return any(source.failed for source in sources) or any(channel.failed for channel in channels)


async def _try(
    settings: "Settings", now: float, send: bool, tick: Any
) -> "tuple[list[SourceReport], list[ChannelReport]]":
    from services.check import try_channels, try_sources

    return await try_sources(settings, now, tick), await try_channels(settings, now, send=send)


def _print_json(sources: "Sequence[SourceReport]", channels: "Sequence[ChannelReport]") -> None:
    import json
    from dataclasses import asdict

    document = {
        "ok": not _any_failed(sources, channels),
        "sources": [
            asdict(report)
            | {
                "newest": None if report.newest is None else _iso(report.newest),
                "languages": dict(report.languages),
                "brands": dict(report.brands),
                "delay": report.delay,
            }
            for report in sources
        ],
        "channels": [asdict(report) for report in channels],
    }
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def _iso(time: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _print_tables(sources: "Sequence[SourceReport]", channels: "Sequence[ChannelReport]", now: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "", "source", "items", "newest", "languages", "brands", "asked every", "adds to a page", title="Sources"
    )
    for report in sources:
        if report.failed:
            table.add_row(str(report.number), _named(report), Text("failed", "bold red"))
            continue
        table.add_row(
            str(report.number),
            _named(report),
            str(report.items),
            "no dates" if report.newest is None else f"{_about(now - report.newest)} ago",
            _counts(report.languages[:4]),
            Text(_counts(report.brands)),
            "" if report.interval is None else _about(report.interval),
            "" if report.delay is None else f"about {_about(report.delay)}",
        )
    letters = Table("channel", "kind", "to", "trial message", title="Channels")
    for channel in channels:
        outcome = (
            Text("failed", "bold red")
            if channel.failed
            else Text("taken" if channel.tried else "not tried: use --send")
        )
        letters.add_row(Text(channel.name), channel.kind, Text(channel.to or ""), outcome)
    console = Console()
    console.print(table)
    console.print(letters)


def _about(seconds: float) -> str:
    """To the minute from five minutes on."""
    from ingest.duration import format_duration

    return format_duration(max(0.0, seconds) if seconds < 300 else round(seconds / 60) * 60)


def _named(report: "SourceReport") -> str:
    return f"{report.kind}\n{report.host}"


def _counts(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts) or "none"


def _print_advice(settings: "Settings", sources: "Sequence[SourceReport]", channels: "Sequence[ChannelReport]") -> None:
    """Failures first, then what would make it better, then what the terms of use ask."""
    for source in sources:
        if source.failed:
            typer.echo(f"Source {source.number} ({source.kind} {source.host}) failed: {source.failed}")
    for channel in channels:
        if channel.failed:
            typer.echo(f"Channel {channel.name} failed: {channel.failed}")
    for source in sources:
        if source.moved:
            typer.echo(f"Source {source.number} has moved for good. Write its new address: {source.moved}")
        if not source.failed and not any(count for _, count in source.brands):
            typer.echo(
                f"Source {source.number} ({source.host}) names none of your brands now. Is that right? See `aliases`."
            )
    if not settings.http.contact:
        typer.echo("`http.contact` is not set: the owners of sources cannot reach you, and may block you instead.")
    for kind, terms in {source.kind: source.terms for source in sources}.items():
        typer.echo(f"Terms of use, {kind}: {terms}")
