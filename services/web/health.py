"""`/livez`, `/readyz` and `/metrics` of one process."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.metrics import Metrics
from services.runtime.lifecycle import Lifecycle

CONNECTIONS = 256
"""Open at once; more are answered 503."""
GOODBYE_SECONDS = 2
"""How long answers under way may take after the end."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

log = structlog.get_logger()


class AddressUnavailable(OSError):
    """Nobody can be answered at this address; the message is one sentence for the user."""


def application(lifecycle: Lifecycle, metrics: Metrics) -> ASGIApp:
    """The three answers as an ASGI application.

    `/livez` is 200 as long as the event loop turns; `/readyz` is 200 while every stage is at work and no stop was
    asked for, else 503 with what is waited for; `/metrics` is the Prometheus text format.

    The stages that are waited for when this is called are those that the metric `tocsin_ready` tells about.
    """
    for stage in lifecycle.waiting_for:
        metrics.ready.labels(stage).set_function(partial(_ready, lifecycle, stage))

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        waiting, stopping = sorted(lifecycle.waiting_for), lifecycle.stopping.is_set()
        ready = not waiting and not stopping
        body = {"ready": ready, "waiting_for": waiting, "stopping": stopping}
        return JSONResponse(body, status_code=200 if ready else 503)

    async def exposition(_request: Request) -> Response:
        return Response(metrics.exposition(), media_type=metrics.content_type)

    routes = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", exposition)]
    return _with_headers(Starlette(routes=routes))


def _ready(lifecycle: Lifecycle, stage: str) -> float:
    return float(stage not in lifecycle.waiting_for and not lifecycle.stopping.is_set())


def listen(address: str) -> socket.socket:
    """A listening socket for `HOST:PORT`; port 0 takes a free one, an empty host is every address of the machine.

    Raises:
        AddressUnavailable: it is no such address, or another program has it.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise AddressUnavailable(
            f"`{address}` is not an address to listen on. Write HOST:PORT, for example 127.0.0.1:8080."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family)
    except OSError as fault:
        cause = str(fault.strerror).partition(" (")[0]  # create_server adds the address, which we say anyway
        raise AddressUnavailable(
            f"Cannot listen on {address} ({cause}): "
            "stop the other program, or choose another address with --set http.listen=HOST:PORT."
        ) from fault


async def serve(address: str, lifecycle: Lifecycle, metrics: Metrics) -> None:
    """Answer at `HOST:PORT` until cancelled. Raises AddressUnavailable before anything is answered."""
    await serve_on(listen(address), lifecycle, metrics)


async def serve_on(listening: socket.socket, lifecycle: Lifecycle, metrics: Metrics) -> None:
    """Answer on a listening socket until cancelled, then close it."""
    config = uvicorn.Config(
        application(lifecycle, metrics),
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    server = _Server(config)
    log.info("answering", address="{}:{}".format(*listening.getsockname()[:2]))
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="health")
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """Signals belong to the lifecycle: a process drains before it stops to answer."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _with_headers(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await app(scope, receive, send_with_headers)

    return answer
