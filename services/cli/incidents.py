"""`tocsin incidents`: what is going on, and who was told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.options import CONFIG_FILE, ConfigFile, Overrides

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST = 200
"""Incidents that are listed at most, the newest ones."""


def incidents(
    everything: Annotated[bool, typer.Option("--all", help=f"Closed ones too, the newest {MOST}.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in each line; times in ISO 8601.")] = False,
    config: ConfigFile = CONFIG_FILE,
    set_: Overrides = None,
) -> None:
    """List the incidents that are not over, and whether somebody was reached.

    Take one over with `tocsin ack ID`.
    """
    from services.runtime.database import Database
    from services.runtime.settings import load

    database = Database(load(config, set_ or ()).database.url)
    try:
        database.check_revision()
        found = database.run_here(read, everything)
    finally:
        database.close()
    if as_json:
        for one in found:
            typer.echo(json.dumps(one, ensure_ascii=False))
    elif found:
        _show(found)
    else:
        typer.echo("There are no incidents." if everything else "No incident is open. Closed ones: --all.")


def read(connection: Connection, everything: bool) -> list[dict[str, Any]]:
    """Each incident with what was sent about it, as `--json` prints it."""
    from datetime import UTC, datetime

    from alerting import incident_store, outbox

    def iso(at: float | None) -> str | None:
        return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")

    found = incident_store.load_recent(connection, MOST) if everything else incident_store.load_open(connection)
    return [
        {
            "id": i.id,
            "brand": i.brand,
            "state": i.state,
            "since": iso(i.since),
            "opened": iso(i.opened),
            "closed": iso(i.closed),
            "observed": i.observed,
            "expected": round(i.expected, 3),
            "acknowledged_by": i.acknowledged_by,
            "sent": [
                {"channel": e.channel, "kind": e.kind, "state": e.state} for e in outbox.entries(connection, i.id)
            ],
        }
        for i in found
    ]


def _show(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("Id", "Brand", "State", "Since (UTC)", "Observed", "Expected", "Told", box=None)
    for one in found:
        state = f"with {one['acknowledged_by']}" if one["state"] == "acknowledged" else one["state"]
        told = ", ".join(f"{e['channel']} {e['state']}" for e in one["sent"] if e["kind"] == "page")
        since = one["since"][:16].replace("T", " ")
        cells = (one["id"], one["brand"], state, since, str(one["observed"]), f"{one['expected']:.3g}", told)
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
