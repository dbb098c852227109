"""The Dockerfile, as far as it can be judged without an engine."""

import asyncio
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from services.metrics import Metrics
from services.runtime.lifecycle import Lifecycle
from services.web import health

ROOT = Path(__file__).parents[2]
STAGES = re.split(r"^FROM ", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"), flags=re.M)[1:]
IMAGE = STAGES[-1]


def test_it_does_not_run_as_root():
    assert re.findall(r"^USER (\S+)$", IMAGE, re.M) == ["tocsin"]
    assert IMAGE.index("USER tocsin") < IMAGE.index("ENTRYPOINT")


def test_its_python_is_one_that_is_promised():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = {re.match(r"python:(\d+\.\d+)-slim", stage)[1] for stage in STAGES}  # type: ignore[index]
    assert len(versions) == 1
    assert f"Programming Language :: Python :: {versions.pop()}" in pyproject["classifiers"]


def test_the_builder_sees_what_the_wheel_is_made_of_and_nothing_else():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    admitted = {line[1:] for line in lines if line.startswith("!")}
    project, wheel = pyproject["project"], pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], project["readme"], *project["license-files"], "pyproject.toml", "requirements.lock"}
    assert lines[1] == "*"
    assert admitted == needed
    assert all((ROOT / name).exists() for name in admitted)


@pytest.mark.asyncio
async def test_the_health_check_tells_ready_from_not_ready():
    command = json.loads(re.search(r"HEALTHCHECK.*\\\n\s+CMD (\[.*\])", IMAGE)[1])  # type: ignore[index]
    listening = health.listen("127.0.0.1:0")
    port = listening.getsockname()[1]
    program = command[2].replace(":8080/", f":{port}/")
    assert command[:2] == ["python", "-c"]
    assert program != command[2]

    async def check() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.DEVNULL)
        return await process.wait()

    lifecycle = Lifecycle("collector")
    serving = asyncio.create_task(health.serve_on(listening, lifecycle, Metrics()))
    assert await check() != 0
    lifecycle.ready("collector")
    assert await check() == 0
    serving.cancel()
    await asyncio.wait([serving])
    assert await check() != 0
