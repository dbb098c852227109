"""The demo world as servers on loopback: feeds and pages over HTTP as of the demo's clock, and who is paged."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.demo.feeds import FEEDS, FRESH, SHOWN, Feed, article
from services.demo.receivers import Inbox
from services.demo.world import World

LOOPBACK = "127.0.0.1"
PREFERRED = {"http": (47_110, 47_210, 47_310), "smtp": (47_125, 47_225, 47_325)}
"""Ports that are tried first: addresses name a post, and the same addresses make the same demo."""


class Site:
    """The web server's application: everything that is published up to `now`."""

    def __init__(self, world: World, inbox: Inbox, now: Callable[[], float], base: str) -> None:
        self._world = world
        self._now = now
        self._base = base
        self._posts = {post.path: post for post in world.posts}
        self._written: dict[str, tuple[str, bytes]] = {}
        feeds = [Route(feed.path, self._feed(feed), methods=["GET"]) for feed in FEEDS]
        rest = [Route("/robots.txt", self._robots), Route("/{site}/{number:int}", self._article)]
        self.app = Starlette(routes=[*feeds, *inbox.routes(), *rest])

    def _feed(self, feed: Feed) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            listed = self._world.newest(feed.name, self._now(), SHOWN)
            newest = listed[0] if listed else (0.0, None)
            tag = f'"{feed.name}-{newest[1].number if newest[1] else 0}"'
            headers = {
                "ETag": tag,
                "Last-Modified": format_datetime(datetime.fromtimestamp(newest[0], UTC), usegmt=True),
                "Cache-Control": f"public, max-age={FRESH}",
            }
            if request.headers.get("If-None-Match") == tag:
                return Response(status_code=304, headers=headers)
            written, body = self._written.get(feed.name, ("", b""))
            if written != tag:
                body = feed.write(feed.title, self._base, listed).encode()
                self._written[feed.name] = (tag, body)
            return Response(body, media_type=feed.content_type, headers=headers)

        return answer

    async def _article(self, request: Request) -> Response:
        post = self._posts.get(request.url.path)
        if post is None or post.at > self._now():
            return PlainTextResponse("There is nothing here.\n", 404)
        return HTMLResponse(article(post))

    async def _robots(self, _request: Request) -> Response:
        return PlainTextResponse("User-agent: *\nAllow: /\n")


def listen(preferred: Iterable[int] = ()) -> socket.socket:
    """A listening socket on loopback: on the first preferred port that is free, or on any."""
    for port in (*preferred, 0):
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((LOOPBACK, port))
            one.listen(128)
        except OSError:
            one.close()
            continue
        one.setblocking(False)
        return one
    raise OSError("No port is free on 127.0.0.1.")


def address(one: socket.socket) -> tuple[str, int]:
    """Host and port of a listening socket."""
    host, port = one.getsockname()[:2]
    return str(host), int(port)


@asynccontextmanager
async def serve_http(app: Starlette, sock: socket.socket) -> AsyncIterator[None]:
    """Answer requests until the block is left."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]), name="demo http")
    try:
        yield
    finally:
        server.should_exit = True
        await task
        sock.close()


class _Server(uvicorn.Server):
    """Signals belong to whoever runs the demo."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve_smtp(inbox: Inbox, sock: socket.socket) -> AsyncIterator[None]:
    """Take e-mail until the block is left."""
    server = await asyncio.get_running_loop().create_server(inbox.smtp, sock=sock)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()
