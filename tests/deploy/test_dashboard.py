"""Every panel of the dashboard gets a series from a real Prometheus that scrapes a running Tocsin."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.queries import ALERTS, DASHBOARD, asked, grouped, panels, selected, series

PROMETHEUS = shutil.which("prometheus")
PATIENCE = 60.0
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>http://127.0.0.1/</link>
<item><guid>{n}</guid><link>http://127.0.0.1/{n}</link><title>Kometa again</title>
<description>The coffee of Kometa was cold, and nobody answered.</description></item></channel></rss>"""


def test_every_panel_asks_for_what_is_measured():
    known = series()
    for title, query in panels():
        assert asked(query) and asked(query) <= known.keys(), title
        assert all(labels <= known[name] for name, labels in selected(query)), title
        assert grouped(query) <= set().union(*(known[name] for name in asked(query))), title


def test_panels_do_not_lie_over_each_other():
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in found)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert all(x < 24 for x, _ in cells)
    assert len({panel["id"] for panel in found}) == len(found)


@pytest.mark.skipif(PROMETHEUS is None, reason="needs Prometheus: sudo apt install prometheus")
def test_every_panel_shows_a_series_and_a_healthy_tocsin_raises_no_alert(tmp_path: Path):
    with feed() as address, tocsin(tmp_path, address) as target, prometheus(tmp_path, target) as ask:

        def empty() -> list[tuple[str, str]]:
            return [(title, query) for title, query in panels() if not ask("query", query=query)["result"]]

        def raised() -> dict[str, str]:
            rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
            assert all(rule["health"] != "err" for rule in rules), rules
            return {rule["name"]: rule["state"] for rule in rules if rule["state"] != "inactive"}

        assert eventually(empty) == []
        assert eventually(raised) == {}


def eventually(still_wrong: Callable[[], Any]) -> Any:
    """Ask until nothing is wrong any more, or patience ends; the last answer."""
    end = time.monotonic() + PATIENCE
    while (answer := still_wrong()) and time.monotonic() < end:
        time.sleep(0.5)
    return answer


@contextlib.contextmanager
def feed() -> Iterator[str]:
    """A feed with a new post at every request."""
    count = iter(range(1_000_000))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = FEED.format(n=next(count)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/feed.xml"
        server.shutdown()


@contextlib.contextmanager
def tocsin(folder: Path, address: str) -> Iterator[str]:
    """`tocsin run` with one brand, one feed and one channel; where it answers, once it is ready."""
    target = f"127.0.0.1:{free_port()}"
    config = folder / "tocsin.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "brands": [{"name": "Kometa"}],
                "sources": [{"kind": "feed", "url": address, "every": "10s", "private": True}],
                "channels": {"team": {"kind": "webhook", "url": "http://127.0.0.1:9/"}},
                "http": {"listen": target},
            }
        )
    )
    with running([sys.executable, "-m", "services.cli", "run", "--config", config], folder / "tocsin.log") as process:
        ready(f"http://{target}/readyz", process, folder / "tocsin.log")
        yield target


@contextlib.contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Callable[..., Any]]:
    """A Prometheus that scrapes it every second; yields a function that asks its API."""
    config = folder / "prometheus.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(ALERTS)],
                "scrape_configs": [{"job_name": "tocsin", "static_configs": [{"targets": [target]}]}],
            }
        )
    )
    base = f"127.0.0.1:{free_port()}"
    command = [str(PROMETHEUS), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={base}"]  # fmt: skip

    def ask(path: str, **parameters: str) -> Any:
        url = f"http://{base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    with running(command, folder / "prometheus.log") as process:
        ready(f"http://{base}/-/ready", process, folder / "prometheus.log")
        yield ask


@contextlib.contextmanager
def running(command: list[Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child process, asked to end and then made to."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it answers 200; fail with its log when it ended, or never does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    pytest.fail(f"{url} did not get ready; its log ends with:\n" + log.read_text(errors="replace")[-3000:])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
