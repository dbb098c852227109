"""`tocsin` as a process that goes on: started, watched over HTTP, stopped or killed; and a feed for it to read."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from xml.sax.saxutils import escape

import httpx

from tests.kafka_server import free_port
from tests.support.command import ROOT
from tests.support.http import Asked, Server, head

PATIENCE = 60.0


@dataclass
class FeedOnline:
    """An RSS feed at `path` of a real server; it answers conditional requests."""

    server: Server
    path: str = "/feed.xml"
    posts: list[tuple[str, float]] = field(default_factory=list)
    """(text, time of publication)."""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """It answers while this is set."""

    def __post_init__(self) -> None:
        self.server.on_raw(self.path, self._answer)
        self.open.set()

    @property
    def url(self) -> str:
        return self.server.url(self.path)

    @property
    def tag(self) -> str:
        return f'"{len(self.posts)}"'

    @property
    def asked(self) -> list[Asked]:
        return [asked for asked in self.server.asked if asked.path == self.path]

    def say(self, text: str, published: float) -> None:
        self.posts.append((text, published))

    def body(self) -> bytes:
        items = "".join(
            f"<item><guid>{self.path}-{number}</guid><link>http://news.example{self.path}/{number}</link>"
            f"<title>{escape(text)}</title><pubDate>{formatdate(at)}</pubDate></item>"
            for number, (text, at) in enumerate(self.posts)
        )
        return f'<rss version="2.0"><channel><title>News</title>{items}</channel></rss>'.encode()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        await self.open.wait()
        if asked.headers.get("if-none-match") == self.tag:
            writer.write(head(304, {"ETag": self.tag}))
            return
        body = self.body()
        writer.write(head(200, {"ETag": self.tag, "Content-Type": "text/xml", "Content-Length": str(len(body))}) + body)


def configuration(folder: Path, feeds: Sequence[str], brands: Sequence[str] = ("Kometa",), **sections: object) -> Path:
    """Write `tocsin.yaml`: JSON is YAML."""
    document = {
        "brands": [{"name": brand} for brand in brands],
        "sources": [{"kind": "feed", "url": url, "private": True, "every": "10s"} for url in feeds],
        "channels": {"robot": {"kind": "webhook", "url": "http://127.0.0.1:9/"}},
        **sections,
    }
    file = folder / "tocsin.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


@dataclass
class Running:
    """One process of ours."""

    process: asyncio.subprocess.Process
    listen: str
    log: Path

    @property
    def said(self) -> str:
        """Everything on its standard error."""
        return self.log.read_text(encoding="utf-8")

    async def get(self, path: str) -> httpx.Response | None:
        """What it answers, or None while it does not."""
        with suppress(httpx.TransportError):
            async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
                return await client.get(f"http://{self.listen}{path}")
        return None

    async def ready(self) -> None:
        async def is_ready() -> bool:
            assert self.process.returncode is None, f"it has ended:\n{self.said}"
            answer = await self.get("/readyz")
            return answer is not None and answer.status_code == 200

        await eventually(is_ready, self)

    async def metric(self, name: str, **labels: str) -> float:
        """Sum over the series of a metric that carry these labels."""
        answer = await self.get("/metrics")
        assert answer is not None, f"it does not answer:\n{self.said}"
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = (line for line in answer.text.splitlines() if line.split("{")[0].split(" ")[0] == name)
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(want in line for want in wanted))

    async def end(self, number: signal.Signals = signal.SIGTERM, within: float = 30.0) -> int:
        """Send it a signal; its exit code."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), within)


@asynccontextmanager
async def running(*arguments: str, folder: Path, cwd: Path | None = None, code: str = ROOT) -> AsyncIterator[Running]:
    """Start `tocsin ARGUMENTS` in a folder, on a free port; it is killed at the end of the block."""
    listen = f"127.0.0.1:{free_port()}"
    log = folder / f"{arguments[0]}-{listen.rpartition(':')[2]}.log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", *arguments, "--set", f"http.listen={listen}",
            cwd=cwd or folder, env=_environment(code), stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield Running(process, listen, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def refused(*arguments: str, folder: Path, code: str = ROOT, within: float = PATIENCE) -> tuple[int, str]:
    """Start `tocsin ARGUMENTS`, which ends by itself: its exit code and what it said, checked to be no traceback."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", *arguments, cwd=folder, env=_environment(code),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await asyncio.wait_for(process.communicate(), within)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    assert b"Traceback" not in said, said.decode()
    return process.returncode, sentences(said.decode())


def sentences(said: str) -> str:
    """What it said to people: without the lines of the log."""
    return "\n".join(line for line in said.splitlines() if line and not line.startswith("{"))


async def eventually(
    holds: Callable[[], Awaitable[bool]], told: Running | None = None, patience: float = PATIENCE
) -> None:
    """Wait for a condition of another process, which has no event to wait for."""
    try:
        async with asyncio.timeout(patience):
            while not await holds():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it did not come to pass within {patience:g} s\n{told.said if told else ''}") from None


def _environment(code: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return clean | {"PYTHONPATH": code, "NO_COLOR": "1"}
