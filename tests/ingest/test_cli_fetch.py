"""`tocsin fetch` as users run it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, tocsin
from tests.support.http import http_server

GOLDEN = Path(__file__).parent / "golden"


def lines(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_a_file_is_printed_one_item_a_line() -> None:
    run = tocsin("fetch", str(GOLDEN / "rss.xml"))
    assert (run.returncode, run.stderr) == (0, "")
    first, second, third = lines(run.stdout)
    assert list(first)[:7] == ["id", "url", "title", "text", "author", "language", "published"]
    assert first["published"] == "2024-05-15T08:00:00Z"
    assert first["categories"] == ["AGD"]
    assert second["title"] == "List<Vellora> w Javie"
    assert (third["url"], third["published"]) == (None, None)


def test_mentions_are_printed_for_brands() -> None:
    run = tocsin("fetch", str(GOLDEN / "rss.xml"), "--brand", "Vellora", "--brand", "AGD=pralk*,zmywark*,pierze")
    found = lines(run.stdout)
    assert [(mention["brand"], mention["names"]) for mention in found] == [
        ("Vellora", [[9, 16]]),
        ("AGD", [[0, 8]]),
        ("Vellora", [[5, 12]]),
        ("Vellora", [[1, 8]]),
        ("AGD", [[13, 19]]),
    ]
    assert found[0]["post"] == "https://dom.example/2024/05/vellora?a=1&b=2"


def test_stdin_and_a_kind_that_is_given() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "services.cli", "fetch", "-", "--kind", "app_store"],
        input=(GOLDEN / "app_store.json.txt").read_bytes(),
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    assert lines(run.stdout.decode())[0]["stars"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("/nowhere/at-all.xml",), 1, "cannot read /nowhere/at-all.xml"),
        ((str(GOLDEN),), 1, "cannot read"),
        ((str(Path(__file__)),), 1, "no feed"),
        (("http://127.0.0.1:1/feed",), 1, "127.0.0.1 refuses connections."),
        (("x", "--kind", "podcast"), 2, "--kind must be one of feed, google_alerts, app_store, reviews"),
        (("x", "--brand", "=a"), 2, "--brand needs a name"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(arguments: tuple[str, ...], code: int, said: str) -> None:
    run = tocsin("fetch", *arguments)
    assert (run.returncode, run.stdout) == (code, "")
    assert run.stderr.startswith("tocsin fetch: ")
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.asyncio
async def test_an_address_is_asked() -> None:
    async with http_server() as server:
        server.on("/alerts", (GOLDEN / "google_alerts.xml").read_bytes(), Content_Type="application/atom+xml")
        run = await asyncio.to_thread(tocsin, "fetch", server.url("/alerts"), "--contact", "me@example.org")
    assert lines(run.stdout)[0]["url"] == "https://news.example/kometa?id=5"
    assert "me@example.org" in server.asked[0].headers["user-agent"]
