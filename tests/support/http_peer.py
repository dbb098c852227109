"""A real HTTP server that answers as it is told, well or badly."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    head: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpPeer:
    """Answers in the order of `script`, the last one for ever. An answer is raw bytes, or one of DRIP, DROP and HOLD."""

    script: list[bytes]
    requests: list[Request] = field(default_factory=list)
    received: asyncio.Condition = field(default_factory=asyncio.Condition)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """What HOLD waits for before it answers 200."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/T0/secret"

    async def wait_for(self, requests: int) -> None:
        async with self.received:
            await self.received.wait_for(lambda: len(self.requests) >= requests)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            async with self.received:
                self.requests.append(request)
                self.received.notify_all()
            await self._answer(self.script.pop(0) if len(self.script) > 1 else self.script[0], reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _answer(self, said: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if said == DROP:
            writer.transport.abort()
        elif said == DRIP:
            writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            gone = asyncio.ensure_future(reader.read())
            while not gone.done():
                writer.write(b"a")
                await asyncio.wait([gone], timeout=0.02)
            await gone
        else:
            if said == HOLD:
                await self.release.wait()
            writer.write(answer("200 OK", b"ok") if said == HOLD else said)
            await writer.drain()


DROP, DRIP, HOLD = b"drop", b"drip", b"hold"


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole answer, e.g. answer("200 OK", b"ok")."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(first, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def http_peer(script: Sequence[bytes]) -> AsyncIterator[HttpPeer]:
    """Listen on a free port."""
    peer = HttpPeer(list(script))
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
