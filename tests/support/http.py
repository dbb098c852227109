"""A real HTTP server on loopback that answers each path as it is told: well, badly, slowly or for ever."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Handler = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    path: str
    headers: dict[str, str]


@dataclass
class Server:
    """`on(path, ...)` says what a path answers; `asked` holds every request."""

    port: int = 0
    scheme: str = "http"
    asked: list[Asked] = field(default_factory=list)
    together: int = 0
    most_together: int = 0
    _handlers: dict[str, Handler] = field(default_factory=dict)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def on(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> None:
        async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            writer.write(head(status, {"Content-Length": str(len(body)), **names}) + body)

        self._handlers[path] = answer

    def on_raw(self, path: str, handler: Handler) -> None:
        self._handlers[path] = handler

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            asked = Asked(lines[0].split(" ")[1], fields)
            self.asked.append(asked)
            self.together += 1
            self.most_together = max(self.most_together, self.together)
            await self._handlers.get(asked.path, _missing)(asked, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client had enough
        finally:
            self.together -= 1
            writer.close()


def head(status: int, headers: dict[str, str]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *(f"{k}: {v}" for k, v in headers.items()), "", ""]).encode()


async def _missing(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head(404, {"Content-Length": "0"}))


async def drip(_: Asked, writer: asyncio.StreamWriter) -> None:
    """A byte every 20 ms, for ever: no read ever times out."""
    writer.write(head(200, {"Content-Type": "text/xml"}))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Bytes without end."""
    writer.write(head(200, {"Content-Type": "text/xml"}))
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def hang_up(_: Asked, writer: asyncio.StreamWriter) -> None:
    """The connection ends in the middle of the body."""
    writer.write(head(200, {"Content-Length": "1000"}) + b"<rss>")


async def babble(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Not HTTP at all."""
    writer.write(b"220 smtp.example ESMTP ready\r\n")


def bomb(megabytes: int) -> bytes:
    """gzip of so many zeros."""
    return gzip.compress(b"\0" * 2**20 * megabytes)


@asynccontextmanager
async def http_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(scheme="https" if tls else "http")
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
