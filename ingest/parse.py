"""Parse documents in a child process that can be killed.

Hostile documents keep parsers busy for minutes or fill the memory; a child has a deadline and a memory limit, and its
death is a reason. One child is started at first use and used again and again.
"""

import asyncio
import struct
import sys
from dataclasses import dataclass
from typing import Literal

import msgspec

from ingest.documents.charset import MAX_BYTES
from ingest.source import Parsed

ParseReason = Literal["unparsable", "parse-timeout", "parse-crashed", "too-large"]
"""Why a document gave no items: log field and metric label."""

START_SECONDS = 60.0
"""A child that is not ready by then is broken."""
MAX_ANSWER = 128 * 1024 * 1024
HEADER = struct.Struct(">I")
"""Frames on the pipes: length, then MessagePack."""


class Request(msgspec.Struct):
    """What a child is asked."""

    kind: str | None
    """None: whatever it seems to be."""
    body: bytes
    content_type: str | None
    url: str


class Reply(msgspec.Struct):
    """What it answers: items, or a sentence."""

    kind: str
    parsed: Parsed | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """There are no items, and why."""

    reason: ParseReason
    sentence: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Reply)


class Parser:
    """A few children that parse. `close` it at the end."""

    def __init__(self, *, workers: int = 1, seconds: float = 20.0, megabytes: int = 768) -> None:
        """`seconds` for one document, `megabytes` of address space for one child."""
        self._seconds = seconds
        self._megabytes = megabytes
        self._free = asyncio.Semaphore(workers)
        self._idle: list[asyncio.subprocess.Process] = []

    async def parse(self, kind: str | None, body: bytes, content_type: str | None, url: str) -> Reply | Unreadable:
        """Items of a document. `kind`: name of a kind of source, or None to go by its look."""
        if len(body) > MAX_BYTES:
            return Unreadable("too-large", f"The document has more than {MAX_BYTES // 2**20} MB.")
        async with self._free:
            try:
                child = await self._take()
            except (OSError, EOFError, TimeoutError) as fault:
                return Unreadable("parse-crashed", f"The parser could not be started: {fault or type(fault).__name__}.")
            reply = await self._ask(child, Request(kind, body, content_type, url))
        if isinstance(reply, Reply) and reply.parsed is None:
            return Unreadable("unparsable", reply.sentence)
        return reply

    async def _ask(self, child: asyncio.subprocess.Process, request: Request) -> Reply | Unreadable:
        """One document by one child, which is killed unless it answers in time and in order."""
        try:
            async with asyncio.timeout(self._seconds):
                reply = await _exchange(child, request)
        except TimeoutError:
            await _kill(child)
            return Unreadable("parse-timeout", f"The document could not be read within {self._seconds:g} seconds.")
        except (EOFError, OSError, msgspec.DecodeError):
            await _kill(child)
            return Unreadable("parse-crashed", "The document used up the parser's memory or made it crash.")
        except BaseException:  # cancelled: the child is in the middle of a document
            child.kill()
            raise
        self._idle.append(child)
        return reply

    async def close(self) -> None:
        """End the children."""
        while self._idle:
            await _kill(self._idle.pop())

    async def _take(self) -> asyncio.subprocess.Process:
        """A child that waits for work, or a new one."""
        while self._idle:
            if (child := self._idle.pop()).returncode is None:
                return child
        return await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        """A child that is ready. It leads its own session, so that Ctrl-C is for us, and ends when our pipe closes."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingest.parse_worker", str(self._megabytes)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await _read_frame(child)
        except BaseException:
            await _kill(child)
            raise
        return child


async def _exchange(child: asyncio.subprocess.Process, request: Request) -> Reply:
    assert child.stdin is not None
    frame = _encoder.encode(request)
    child.stdin.write(HEADER.pack(len(frame)) + frame)
    await child.stdin.drain()
    return _decoder.decode(await _read_frame(child))


async def _read_frame(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    (size,) = HEADER.unpack(await child.stdout.readexactly(HEADER.size))
    if size > MAX_ANSWER:
        raise EOFError
    return await child.stdout.readexactly(size)


async def _kill(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.kill()
    await child.wait()
