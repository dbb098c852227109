"""docker-compose.yml and what it mounts."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.runtime.settings import load

ROOT = Path(__file__).parents[2]
SECRETS = {"DATABASE_PASSWORD": "database-secret", "GRAFANA_PASSWORD": "grafana-secret", "SLACK_WEBHOOK": "https://slack.example/secret"}  # fmt: skip
STAGES = ("collector", "classifier", "alerter", "pager")
TOOL = shutil.which("docker-compose", path=os.pathsep.join((os.environ.get("TOCSIN_TOOLS", ""), os.environ["PATH"])))

pytestmark = pytest.mark.skipif(
    TOOL is None, reason="needs docker-compose 2: sudo apt install docker-compose-v2, or its folder in TOCSIN_TOOLS"
)


def compose(secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **secrets}
    command = [str(TOOL), "--file", str(ROOT / "docker-compose.yml"), "config", "--format", "json"]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    done = compose(SECRETS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_is_asked_for_by_name(missing: str):
    done = compose({name: value for name, value in SECRETS.items() if name != missing})
    assert done.returncode != 0
    assert f"Set {missing} to " in done.stderr


def test_every_part_is_there_and_restarts(services: dict[str, Any]):
    assert set(services) == {*STAGES, "migrate", "kafka", "postgres", "prometheus", "grafana"}
    assert {name: one["restart"] for name, one in services.items() if one["restart"] != "unless-stopped"} == {
        "migrate": "no"
    }


def test_every_part_is_bounded(services: dict[str, Any]):
    for name, one in services.items():
        assert {"cpus", "memory"} <= one["deploy"]["resources"]["limits"].keys(), name


def test_images_of_others_are_pinned(services: dict[str, Any]):
    for one in services.values():
        assert "build" in one or one["image"].rpartition(":")[2][0] in "v0123456789"


def test_stages_start_when_the_tables_are_there_and_the_pager_without_kafka(services: dict[str, Any]):
    for stage in STAGES:
        needs = {name: one["condition"] for name, one in services[stage]["depends_on"].items()}
        assert needs.pop("migrate") == "service_completed_successfully"
        assert needs == dict.fromkeys(["postgres"] if stage == "pager" else ["kafka", "postgres"], "service_healthy")


def test_each_secret_is_only_where_it_is_needed(services: dict[str, Any]):
    holders = {
        secret: {name for name, one in services.items() if secret in json.dumps(one.get("environment", {}))}
        for secret in SECRETS.values()
    }
    assert holders == {
        SECRETS["DATABASE_PASSWORD"]: {*STAGES, "migrate", "postgres"},
        SECRETS["GRAFANA_PASSWORD"]: {"grafana"},
        SECRETS["SLACK_WEBHOOK"]: {"pager"},
    }


def test_what_is_mounted_is_in_the_repository(services: dict[str, Any]):
    mounted = [v for one in services.values() for v in one.get("volumes", []) if v["type"] == "bind"]
    assert mounted
    for volume in mounted:
        assert Path(volume["source"]).exists()
        assert volume["read_only"]


@pytest.mark.parametrize("stage", [*STAGES, "migrate"])
def test_its_configuration_is_valid_and_names_the_other_parts(services: dict[str, Any], stage: str):
    settings = load(ROOT / "deploy" / "tocsin.yaml", environment=services[stage]["environment"])
    assert settings.log.bootstrap == "kafka:9092"
    assert settings.database.url == "postgresql+psycopg://tocsin:database-secret@postgres/tocsin"
    assert settings.http.listen == "0.0.0.0:8080"


def test_only_people_on_this_machine_reach_it(services: dict[str, Any]):
    ports = [port for one in services.values() for port in one.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
