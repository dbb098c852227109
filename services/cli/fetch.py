"""`tocsin fetch`: what a source holds, one item a line."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from ingest.answer import Answer
    from ingest.brand import Matcher
    from ingest.mention import Mention
    from ingest.parse import Reply
    from ingest.source import Item


def fetch(
    place: Annotated[
        str, typer.Argument(metavar="URL_OR_FILE", help="Address to ask, a file, or - for what comes from stdin.")
    ],
    kind: Annotated[
        str | None, typer.Option(help="feed, google_alerts, app_store or reviews; without it, by the document's look.")
    ] = None,
    brand: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=ALIAS,...]",
            help="Print the mentions of this brand instead of the items. `Komet*` is every word that begins so. Repeat it for more brands.",
        ),
    ] = None,
    contact: Annotated[str, typer.Option(help="Address or e-mail that the server sees in User-Agent.")] = "",
) -> None:
    """Shows what a source holds, as JSON Lines: id, url, title, text, author, language, published (UTC or null), and more.

    Items come in document order, none folded. Needs no configuration. Ends with 1 and one sentence where there is no
    document or it cannot be read.
    """
    from ingest.sources import KINDS

    if kind is not None and kind not in KINDS:
        _fail(f"--kind must be one of {', '.join(KINDS)}, not {kind!r}.", 2)
    matcher = _matcher(brand) if brand else None
    try:
        reply, answer = asyncio.run(_read(place, kind, contact))
        _print(reply, answer, matcher)
    except BrokenPipeError:  # `tocsin fetch ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(sentence: str, code: int = 1) -> NoReturn:
    typer.echo(f"tocsin fetch: {sentence}", err=True)
    raise typer.Exit(code)


def _matcher(brands: list[str]) -> Matcher:
    from pydantic import ValidationError

    from ingest.brand import Brand, Matcher

    found = []
    for given in brands:
        name, _, aliases = given.partition("=")
        try:
            found.append(Brand(name=name, aliases=tuple(alias for alias in aliases.split(",") if alias.strip())))
        except ValidationError:
            _fail(f"--brand needs a name, as in --brand 'Kometa=Комета,Komet*', not {given!r}.", 2)
    return Matcher(found)


async def _read(place: str, kind: str | None, contact: str) -> tuple[Reply, Answer]:
    """The document, parsed in a child as the collector does."""
    from ingest.parse import Parser, Unreadable

    answer = await _ask(place, kind, contact) if place.startswith(("http://", "https://")) else _open(place)
    parser = Parser(seconds=60.0)
    try:
        reply = await parser.parse(kind, answer.body, answer.content_type, answer.url)
    finally:
        await parser.close()
    if isinstance(reply, Unreadable):
        _fail(f"{_shown(place)}: {reply.sentence}")
    return reply, answer


async def _ask(url: str, kind: str | None, contact: str) -> Answer:
    from ingest.answer import Failure
    from ingest.fetch import Fetcher
    from ingest.sources import KINDS

    fetcher = Fetcher(contact)
    try:  # the user names the address, so it may lie in the user's own network
        answer = await fetcher.fetch(url, private=True, obey_robots=kind is not None and KINDS[kind].OBEYS_ROBOTS)
    finally:
        await fetcher.close()
    if isinstance(answer, Failure):
        _fail(answer.sentence)
    return answer


def _open(path: str) -> Answer:
    from ingest.answer import Answer, Caching
    from ingest.documents.charset import MAX_BYTES

    try:
        if path == "-":
            body = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                body = file.read(MAX_BYTES + 1)
    except OSError as fault:
        _fail(f"cannot read {path}: {fault.strerror}. Give an address that begins with http:// or https://, or a file.")
    return Answer(200, "", None, Caching(), None, body)


def _shown(place: str) -> str:
    """The place without what may be secret in an address."""
    from urllib.parse import urlsplit

    return urlsplit(place).hostname or "" if place.startswith(("http://", "https://")) else place


def _print(reply: Reply, answer: Answer, matcher: Matcher | None) -> None:
    from services.runtime.clock import WallClock

    items = reply.parsed.items if reply.parsed else ()
    lines = [_item_line(item) for item in items]
    if matcher is not None:
        lines = [_mention_line(mention) for mention in _mentions(reply, answer, matcher, WallClock().now())]
    if not items:
        typer.echo("tocsin fetch: the document is in order and holds no items.", err=True)
    for line in lines:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _item_line(item: Item) -> dict[str, Any]:
    from ingest.documents.dates import to_iso

    line: dict[str, Any] = {
        "id": item.id,
        "url": item.url,
        "title": item.title,
        "text": item.text,
        "author": item.author,
        "language": item.language,
        "published": to_iso(item.published),
    }
    if item.stars is not None:
        line["stars"] = item.stars
    for key, value in item.extra.items():
        line.setdefault(key, to_iso(value) if key == "updated" else value)
    return line


def _mentions(reply: Reply, answer: Answer, matcher: Matcher, now: float) -> list[Mention]:
    from ingest.collect import Seen, Watched, mentions_of, posts
    from ingest.identity import content_hash
    from ingest.sources import KINDS

    if reply.parsed is None:
        return []
    kind = KINDS[reply.kind]
    watched = Watched(kind.Config(kind=reply.kind, url=answer.url or "file"), kind, matcher)
    sights = [(Seen(post, content_hash(item), 0, False), item) for post, item in posts(reply.parsed, kind)]
    return [mention for row, item in sights for mention in mentions_of(row, item, watched, now)]


def _mention_line(mention: Mention) -> dict[str, Any]:
    from ingest.documents.dates import to_iso

    line: dict[str, Any] = {
        "id": mention.id,
        "brand": mention.brand,
        "names": mention.names,
        "post": mention.post,
        "url": mention.url,
        "title": mention.title,
        "text": mention.text,
        "author": mention.author,
        "language": mention.language,
        "published": to_iso(mention.published),
    }
    return line | ({} if mention.stars is None else {"stars": mention.stars})
