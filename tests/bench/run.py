"""`tocsin run` as a user starts it: how long until it is ready, what it costs when idle, how late a count is.

`python -m tests.bench.run`. Prints figures; the machine's own load is printed beside them, since it decides much.
"""

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import psutil
import uvicorn
from rich.progress import track
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.kafka_server import free_port

TEXTS = Path(__file__).parents[2] / "classify" / "training" / "mentions"


@dataclass
class Feeds:
    """Feeds that answer 304 until something is published; remembers when each item was first given out."""

    items: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    given: dict[str, float] = field(default_factory=dict)

    async def answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        items = self.items.get(name, [])[-60:]
        etag = f'"{items[-1][0] if items else "-"}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"ETag": etag})
        now = time.time()
        for guid, _ in items:
            self.given.setdefault(guid, now)
        body = "".join(
            f"<item><guid>{guid}</guid><link>http://127.0.0.1/{guid}</link><description>{escape(text)}</description></item>"
            for guid, text in items
        )
        return Response(
            f'<?xml version="1.0"?><rss version="2.0"><channel><title>{name}</title>{body}</channel></rss>',
            media_type="application/rss+xml",
            headers={"ETag": etag},
        )


class Tocsin:
    """A `tocsin run` in a folder of its own."""

    def __init__(self, folder: Path, feeds_port: int, sources: int, every: str) -> None:
        self.folder, self.port = folder, free_port()
        config = {
            "brands": [{"name": "Kometa"}],
            "sources": [
                {"kind": "feed", "url": f"http://127.0.0.1:{feeds_port}/{n}", "private": True, "every": every}
                for n in range(sources)
            ],
            "channels": {"team": {"kind": "webhook", "url": "http://127.0.0.1:9/"}},
            "http": {"listen": f"127.0.0.1:{self.port}", "contact": "bench@tocsin.example"},
        }
        (folder / "tocsin.yaml").write_text(json.dumps(config))

    async def __aenter__(self) -> "Tocsin":
        began = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from services.cli import main; main()", "run"), cwd=self.folder,
            stderr=(self.folder / "log").open("wb"), env=os.environ | {"PYTHONPATH": str(TEXTS.parents[2])},
        )  # fmt: skip
        while await self.get("/readyz") is None:
            await asyncio.sleep(0.05)
            if self.process.returncode is not None:
                raise SystemExit((self.folder / "log").read_text()[-3000:])
        self.ready_after = time.monotonic() - began
        return self

    async def __aexit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        await self.process.wait()

    async def get(self, path: str) -> str | None:
        def ask() -> str | None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                    return answer.read().decode()
            except OSError:
                return None

        return await asyncio.to_thread(ask)

    def cost(self) -> tuple[float, float]:
        """Resident MB and CPU seconds so far, children included."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        resident = sum(p.memory_info().rss for p in family) / 1e6
        return resident, sum(sum(p.cpu_times()[:2]) for p in family)


async def idle(folder: Path, port: int, seconds: int) -> None:
    """50 sources that have nothing new."""
    async with Tocsin(folder, port, 50, "5m") as tocsin:
        await asyncio.sleep(10)
        _, before = tocsin.cost()
        await asyncio.sleep(seconds)
        resident, after = tocsin.cost()
    print(f"ready after                         {tocsin.ready_after:8.1f} s    (goal 5)")
    print(f"idle, 50 sources: resident          {resident:8.0f} MB   (goal < 600)")
    print(f"idle, 50 sources: of one core       {(after - before) / seconds:8.1%}      (goal < 5 %)")


async def latency(folder: Path, port: int, feeds: Feeds, rate: int, seconds: int) -> None:
    """From a feed's answer to the commit of its count, at `rate` mentions a second."""
    texts = [
        json.loads(line)["text"] for path in sorted(TEXTS.glob("*.jsonl")) for line in path.read_text().splitlines()
    ]
    sources = 10
    for n in range(sources):
        feeds.items[str(n)] = [(f"old-{n}", "nothing to see")]
    async with Tocsin(folder, port, sources, "2s") as tocsin:
        while len(feeds.given) < sources:
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        seen: dict[str, float] = {}
        watching = asyncio.create_task(watch(folder / "tocsin.db", seen))
        for n in track(range(rate * seconds), description="publishing"):
            feeds.items[str(n % sources)].append((f"new-{n}", f"Kometa: {texts[n * 7 % len(texts)]} ({n})"))
            if n % rate == rate - 1:
                await asyncio.sleep(1)
        await asyncio.sleep(15)
        watching.cancel()
        said = await tocsin.get("/metrics") or ""
    stored = collected(folder / "tocsin.db")
    delays = np.array([seen[g] - feeds.given[g] for g in seen if g.startswith("new-")])
    reading = np.array([stored[g] - feeds.given[g] for g in seen if g.startswith("new-")])
    scoring = metric(said, "tocsin_score_duration_seconds_sum") / max(
        1.0, metric(said, "tocsin_score_duration_seconds_count")
    )
    print(f"mentions counted                    {len(delays):8} of {rate * seconds}")
    print(
        f"feed's answer to committed count    {np.quantile(delays, 0.5):8.2f} s median, {np.quantile(delays, 0.95):.2f} s p95   (goal p95 <= 5)"
    )
    print(f"  of it: reading the document       {np.quantile(reading, 0.95):8.2f} s p95")
    print(f"  of it: scoring one batch          {scoring:8.2f} s mean")
    print(
        f"  the part that dominates: {'reading' if np.mean(reading) > np.mean(delays) / 2 else 'scoring and waiting for it'}"
    )


async def watch(database: Path, seen: dict[str, float]) -> None:
    """Remember when each mention is first there for another connection."""
    reader = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    last = 0
    while True:
        rows = reader.execute("SELECT rowid, url FROM mention WHERE rowid > ?", (last,)).fetchall()
        for row, url in rows:
            seen.setdefault(url.rsplit("/", 1)[1], time.time())
            last = max(last, row)
        await asyncio.sleep(0.05)


def collected(database: Path) -> dict[str, float]:
    rows = sqlite3.connect(f"file:{database}?mode=ro", uri=True).execute("SELECT url, collected FROM mention")
    return {url.rsplit("/", 1)[1]: at for url, at in rows}


def metric(exposition: str, name: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in exposition.splitlines() if line.startswith(name))


async def main(seconds: int) -> None:
    feeds = Feeds()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(
        Starlette(routes=[Route("/{name}", feeds.answer)]), port=port, log_level="error", lifespan="off"
    ))  # fmt: skip
    serving = asyncio.create_task(server.serve())
    print(f"load of the machine when it began   {os.getloadavg()[0]:8.1f}")
    for step in ("idle", "latency"):
        with tempfile.TemporaryDirectory() as name:
            if step == "idle":
                await idle(Path(name), port, seconds)
            else:
                await latency(Path(name), port, feeds, rate=50, seconds=seconds)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long each of the two is watched")
    asyncio.run(main(parser.parse_args().seconds))
