"""The demo as a user starts it, once; what came of it, and what of it is shown."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from alerting.channel import Page, Quote
from alerting.incident import Evidence, Incident
from services.demo import config
from services.demo.play import Options, play
from services.demo.report import Agreement, Found, Report
from services.demo.screen import Screen, page_panel, picture, verdict
from services.demo.world import BEGINS, World, build
from services.runtime.settings import load
from tests.kafka_server import kafka_bootstrap  # noqa: F401 - a fixture

LONGEST = 900


@pytest.fixture(scope="module")
def world() -> World:
    return build(1)


def incident(brand: str, opened: float) -> Incident:
    return Incident(
        id=f"{brand}-{opened:.0f}", brand=brand, state="open", opened=opened, opened_wall=opened, since=opened - 900, expected=2.0,
        observed=11, ratio=5.5, score=9.0, rule="surge", reason="Many more than usual.", evidence=Evidence(),
    )  # fmt: skip


def report(world: World, *incidents: Incident, delivered: bool = True, received: int = 1) -> Report:
    found = Found(
        mentions=9_000,
        history=200,
        incidents=incidents,
        paged_at={i.id: i.opened for i in incidents if delivered},
        page=None,
        agreement={"pl": Agreement(100, 80, 5)},
    )
    return Report(world, found, dict.fromkeys(("slack", "email", "webhook"), received), 60.0, BEGINS)


def test_it_is_good_when_the_crisis_was_paged_everywhere_and_nothing_else(world: World) -> None:
    crisis = world.crisis
    assert crisis is not None
    caught = incident(crisis.brand, crisis.begins + 1_800)
    assert report(world, caught).good
    assert report(world, caught).minutes == 30
    assert report(world, caught).as_json()["false_pages"] == 0
    assert not report(world).good
    assert not report(world, caught, delivered=False).good
    assert not report(world, caught, received=0).good


@pytest.mark.parametrize("early", [True, False])
def test_a_page_about_another_brand_or_before_the_crisis_is_false(world: World, early: bool) -> None:
    crisis = world.crisis
    assert crisis is not None
    caught = incident(crisis.brand, crisis.begins + 1_800)
    other = next(brand for brand in config.BRANDS if brand.name != crisis.brand).name
    false = incident(crisis.brand, crisis.begins - 60) if early else incident(other, crisis.begins + 60)
    outcome = report(world, false, caught)
    assert not outcome.good
    assert outcome.as_json()["false_pages"] == 1
    assert "A false page" in verdict(outcome).plain


def test_a_calm_world_wants_no_page() -> None:
    calm = build(1, calm=True)
    assert report(calm, received=0).good
    assert not report(calm, incident("Kometa", BEGINS + 5), received=1).good


def test_the_configuration_is_that_of_init_with_the_worlds_own_parts(tmp_path: Path) -> None:
    settings = load(config.write(tmp_path, config.Addresses("http://127.0.0.1:47110", ("127.0.0.1", 47125))))
    from services.cli.init import EXAMPLE

    example = tmp_path / "example.yaml"
    example.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    shipped = load(example, environment=dict.fromkeys(("SLACK_WEBHOOK",), "https://hooks.slack.com/services/T/B/x"))
    for part in ("detector", "model", "languages"):
        assert getattr(settings, part) == getattr(shipped, part)
    assert (settings.log.partitions, settings.log.retention) == (shipped.log.partitions, shipped.log.retention)
    assert all(source.private for source in settings.sources)
    assert config.titles("http://127.0.0.1:47110").keys() == {source.id for source in settings.sources}


def test_the_picture_shows_brand_numbers_shares_quotes_and_what_to_do(tmp_path: Path) -> None:
    page = Page(
        incident="1a2b3c4d", kind="page", brand="Kometa", opened=BEGINS, since=BEGINS - 1_500, expected=6.2, observed=41, ratio=6.6,
        rule="surge", reason="Because.", sources=(("feed:127.0.0.1:x", 0.75), ("other", 0.25)), languages=(("pl", 1.0),),
        quotes=(Quote("Zgniłe mięso [bold]", "http://127.0.0.1:1/agora/7", "Ola", "pl", "feed:127.0.0.1:x", BEGINS),),
        acknowledge="tocsin ack 1a2b3c4d",
    )  # fmt: skip
    console = Console(file=StringIO(), width=100)
    console.print(page_panel(page, {"feed:127.0.0.1:x": "Agora"}))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("Kometa", "41", "6", "Agora", "75%", "Zgniłe mięso [bold]", "/agora/7", "tocsin ack 1a2b3c4d"):
        assert part in shown
    picture(page, {}, tmp_path / "page.svg")
    assert (tmp_path / "page.svg").read_text(encoding="utf-8").startswith("<svg")


def test_without_a_terminal_there_is_no_progress_bar() -> None:
    console = Console(file=StringIO())
    with Screen(console).progress(BEGINS + 10) as told:
        told(BEGINS + 5)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.asyncio
@pytest.mark.parametrize("log", ["embedded", "kafka"])
async def test_two_quiet_hours_of_it(log: str, request: pytest.FixtureRequest) -> None:
    """All of Tocsin on the clock that jumps: what the world has published by then is read and judged, nobody is paged."""
    kafka = request.getfixturevalue("kafka_bootstrap") if log == "kafka" else None
    short = replace(build(1, calm=True), ends=BEGINS + 2 * 3_600)
    told: list[Report] = []
    console = Console(file=StringIO(), width=100)
    outcome = await play(short, Options(kafka=kafka), Screen(console), told.append)
    assert told == [outcome]
    assert outcome.good
    assert short.ends - 3_600 < outcome.demo_ended <= short.ends
    published = sum(len(p.text.labels) for p in short.posts if BEGINS < p.at < BEGINS + 3_600)
    assert outcome.found.mentions >= published > 10
    assert outcome.found.history > 50
    assert "No false page" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.soak
def test_the_whole_demo(tmp_path: Path) -> None:
    outcome = tmp_path / "demo.json"
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "demo", "--seed", "2", "--json", str(outcome), "--svg", str(tmp_path / "page.svg")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, capture_output=True, text=True,
        timeout=LONGEST, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(outcome.read_text(encoding="utf-8"))
    assert told["false_pages"] == 0
    assert told["paged"][0]["brand"] == told["brand"]
    assert 0 < told["minutes"] < 360
    assert told["mentions"] > 8_000
    assert min(told["received"].values()) >= 1
    assert told["agreement"].keys() == {"pl", "ru", "tr", "en", "de", "es"}
    assert "received at" in done.stdout
    assert (tmp_path / "page.svg").exists()
