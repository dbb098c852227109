"""The command `tocsin`: as users run it, in a process of its own, and, faster, inside this one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

from typer.testing import CliRunner

from services.cli import app

ROOT = str(Path(__file__).parents[2])
SECRETS = {"SLACK_WEBHOOK": "https://hooks.slack.example/services/T0/B0/hush"}
TERMINAL = {"COLUMNS": "140", "NO_COLOR": "1"}

Ended = subprocess.CompletedProcess[str]


def tocsin(*arguments: str, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Ended:
    """Run it in a folder, inside this process, without the configuration of whoever runs the tests."""
    clean: dict[str, str | None] = dict.fromkeys(filter(_own, os.environ))
    with chdir(folder or Path.cwd()):
        result = CliRunner().invoke(app, arguments, env=clean | TERMINAL | dict(environment or {}), prog_name="tocsin")
    return Ended(arguments, result.exit_code, result.stdout, result.stderr)


def tocsin_process(*arguments: str, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Ended:
    """The same in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not _own(name)}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        cwd=folder,
        env=clean | {"PYTHONPATH": ROOT} | TERMINAL | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _own(variable: str) -> bool:
    return variable.startswith(("TOCSIN_", "SLACK_"))
