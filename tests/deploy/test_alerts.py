"""The alert rules: valid, tested by promtool, with a chapter in the runbook each, and about metrics that there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.queries import ALERTS, DEPLOY, alerts, asked, grouped, selected, series

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool: sudo apt install prometheus")
NAMES = [str(rule["alert"]) for rule in alerts()]


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], cwd=ALERTS.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_rules_and_configuration_are_valid():
    assert f"{len(NAMES)} rules found" in promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "prometheus.yml")


@needs_promtool
def test_unit_tests_of_the_rules():
    promtool("test", "rules", "alerts_test.yml")


@pytest.mark.parametrize("name", NAMES)
def test_the_unit_tests_see_each_alert_fire_and_see_it_quiet(name: str):
    tests = yaml.safe_load((ALERTS.parent / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    wanted = [bool(one["exp_alerts"]) for test in tests for one in test["alert_rule_test"] if one["alertname"] == name]
    assert set(wanted) == {True, False}


@pytest.mark.parametrize("rule", alerts(), ids=NAMES)
def test_each_alert_says_what_and_leads_to_its_chapter(rule: dict[str, object]):
    notes, labels = rule["annotations"], rule["labels"]
    assert isinstance(notes, dict)
    assert isinstance(labels, dict)
    assert notes["summary"].endswith(".")
    assert labels["severity"] in ("page", "ticket")
    path, _, anchor = notes["runbook_url"].partition("#")
    assert path == "deploy/runbook.md"
    headings = re.findall(r"^#+ (.*)$", (DEPLOY / "runbook.md").read_text(encoding="utf-8"), re.M)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("rule", alerts(), ids=NAMES)
def test_each_alert_asks_for_what_is_measured(rule: dict[str, object]):
    known, query = series(), str(rule["expr"])
    assert asked(query) <= known.keys()
    assert all(labels <= known[name] for name, labels in selected(query))
    assert grouped(query) <= set().union(*(known[name] for name in asked(query)))


def test_every_command_of_the_runbook_exists():
    from services.cli import COMMANDS

    text = (DEPLOY / "runbook.md").read_text(encoding="utf-8")
    known = {command for group in COMMANDS.values() for command in group}
    named = set(re.findall(r"`tocsin ([a-z]+)", text)) | set(re.findall(r"run --rm \w+ ([a-z]+)", text))
    assert {"skip", "dead", "ack", "check"} <= named
    assert named <= known
