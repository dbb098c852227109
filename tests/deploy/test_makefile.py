"""The Makefile's own words: help, and what it says when something is missing."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="needs make: sudo apt install make")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it beside a copy of what it depends on, in a folder of its own."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder)
    return subprocess.run([str(MAKE), *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def python(folder: Path, body: str) -> Path:
    """A Python that is not quite one."""
    path = folder / "other-python"
    path.write_text(f'#!/bin/sh\n{body}\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def test_help_has_a_line_for_every_target(tmp_path: Path):
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert phony
    shown = re.findall(r"^  make ([\w-]+) +\S.*\.$|^  make ([\w-]+) +\S.*\)\.$", make(tmp_path).stdout, re.M)
    assert {a or b for a, b in shown} == set(phony[1].split())


def test_a_python_without_venv_is_told_which_package_has_it(tmp_path: Path):
    stub = python(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac')
    done = make(tmp_path, ".venv/bin/python", f"PYTHON={stub}")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode != 0
    assert f"sudo apt install python{version}-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_is_too_old_is_told_so(tmp_path: Path):
    stub = python(tmp_path, 'case "$2" in *version_info*) exit 1;; esac')
    done = make(tmp_path, ".venv/bin/python", f"PYTHON={stub}")
    assert done.returncode != 0
    assert "Tocsin needs Python 3.11 or newer." in done.stderr


def test_kafka_without_a_home_is_told_where_to_get_one(tmp_path: Path):
    done = make(tmp_path, "-o", ".venv/dev", "kafka", "KAFKA_HOME=")
    assert done.returncode != 0
    assert "https://kafka.apache.org/downloads" in done.stderr
