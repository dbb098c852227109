"""The child of `ingest.parse`: reads requests from stdin, parses, answers on stdout, ends with its parent."""

import contextlib
import resource
import sys
from dataclasses import replace
from typing import Any, BinaryIO

import msgspec

from ingest.documents.plain_text import MAX_TEXT
from ingest.parse import HEADER, Reply, Request
from ingest.source import Item, Unparsable
from ingest.sources import KINDS, sniff


def main() -> None:
    """Serve until the parent closes the pipe."""
    limit = int(sys.argv[1]) * 1024 * 1024
    with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _write(sys.stdout.buffer, b"ready")
    while frame := _read(sys.stdin.buffer):
        reply = answer(msgspec.msgpack.decode(frame, type=Request))
        _write(sys.stdout.buffer, msgspec.msgpack.encode(reply))


def answer(request: Request) -> Reply:
    """Parse one document; whatever goes wrong is a sentence."""
    kind = request.kind or "feed"
    try:
        kind = request.kind or sniff(request.body, request.content_type)
        parsed = KINDS[kind].parse(request.body, request.content_type, request.url)
        return Reply(kind, replace(parsed, items=[_tidy(item) for item in parsed.items]))
    except Unparsable as refused:
        return Reply(kind, None, str(refused))
    except MemoryError:
        raise
    except Exception as fault:  # a fault of ours must not look like a silent source
        return Reply(
            kind, None, f"The document could not be read ({type(fault).__name__}); please report it with the document."
        )


def _tidy(item: Item) -> Item:
    """Bounded fields that can be written as UTF-8 and into any database."""
    return Item(
        id=_text(item.id, 2_000) or None,
        url=_text(item.url, 4_000) or None,
        title=_text(item.title, 2_000),
        text=_text(item.text, MAX_TEXT),
        author=_text(item.author, 300) or None,
        published=item.published,
        language=_text(item.language, 40) or None,
        stars=item.stars,
        extra={key: _clean(value) for key, value in item.extra.items()},
    )


def _text(value: str | None, size: int) -> str:
    return (value or "")[:size].replace("\x00", "").encode(errors="replace").decode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value, 4_000)
    if isinstance(value, dict):
        return {str(key): _clean(inner) for key, inner in value.items()}
    return [_clean(inner) for inner in value[:100]] if isinstance(value, list) else value


def _read(pipe: BinaryIO) -> bytes:
    header = pipe.read(HEADER.size)
    return pipe.read(HEADER.unpack(header)[0]) if len(header) == HEADER.size else b""


def _write(pipe: BinaryIO, frame: bytes) -> None:
    pipe.write(HEADER.pack(len(frame)) + frame)
    pipe.flush()


if __name__ == "__main__":
    main()
