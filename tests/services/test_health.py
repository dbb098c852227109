"""`/livez`, `/readyz`, `/metrics` over real sockets."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.metrics import Metrics
from services.runtime.lifecycle import Lifecycle
from services.web import health


@contextlib.asynccontextmanager
async def serving(lifecycle: Lifecycle, metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    """The server on a free port, and a client of it."""
    listening = health.listen("127.0.0.1:0")
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    task = asyncio.create_task(health.serve_on(listening, lifecycle, metrics))
    try:
        async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
            yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.asyncio
async def test_ready_when_every_stage_is_at_work_and_nobody_asked_to_stop():
    lifecycle = Lifecycle("collector", "alerter")
    async with serving(lifecycle, Metrics()) as client:
        first = await client.get("/readyz")
        assert first.status_code == 503
        assert first.json() == {"ready": False, "waiting_for": ["alerter", "collector"], "stopping": False}
        lifecycle.ready("alerter")
        assert (await client.get("/readyz")).json()["waiting_for"] == ["collector"]
        lifecycle.ready("collector")
        assert (await client.get("/readyz")).status_code == 200
        lifecycle.stopping.set()
        last = await client.get("/readyz")
        assert (last.status_code, last.json()["stopping"]) == (503, True)


@pytest.mark.asyncio
async def test_the_metric_says_which_stage_is_not_ready():
    lifecycle, metrics = Lifecycle("collector", "alerter"), Metrics()
    async with serving(lifecycle, metrics) as client:
        assert 'tocsin_ready{stage="alerter"} 0.0' in (await client.get("/metrics")).text
        lifecycle.ready("alerter")
        exposed = (await client.get("/metrics")).text
        assert 'tocsin_ready{stage="alerter"} 1.0' in exposed
        assert 'tocsin_ready{stage="collector"} 0.0' in exposed
        lifecycle.stopping.set()
        assert 'tocsin_ready{stage="alerter"} 0.0' in (await client.get("/metrics")).text


@pytest.mark.asyncio
async def test_a_process_that_is_not_ready_lives():
    async with serving(Lifecycle("collector"), Metrics()) as client:
        answer = await client.get("/livez")
        assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.asyncio
async def test_metrics_are_what_was_counted():
    metrics = Metrics()
    metrics.sentiment.labels(metrics.brand('Ko"meta\n'), "negative").inc(3)
    async with serving(Lifecycle(), metrics) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [s for family in text_string_to_metric_families(answer.text) for s in family.samples]
    assert [(s.labels, s.value) for s in samples if s.name == "tocsin_mentions_total"] == [
        ({"brand": 'Ko"meta\n', "label": "negative"}, 3.0)
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/livez", 200), ("GET", "/metrics", 200), ("GET", "/../etc/passwd", 404), ("POST", "/readyz", 405)],
)
async def test_every_answer_has_the_security_headers_and_no_banner(method: str, path: str, status: int):
    async with serving(Lifecycle(), Metrics()) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in health.HEADERS} == health.HEADERS
    assert "server" not in answer.headers


@pytest.mark.asyncio
async def test_bytes_that_are_no_http_do_not_stop_it():
    async with serving(Lifecycle(), Metrics()) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"\x16\x03\x01" + b"\xff" * 100_000 + b"\r\n\r\n")
        assert b"400" in await reader.readline()
        writer.close()
        assert (await client.get("/livez")).status_code == 200


@pytest.mark.asyncio
async def test_a_signal_is_the_lifecycles_and_a_draining_process_still_answers():
    lifecycle = Lifecycle()
    loop = asyncio.get_running_loop()
    async with serving(lifecycle, Metrics()) as client:
        assert (await client.get("/readyz")).status_code == 200
        lifecycle.stop_on_signals()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(lifecycle.stopping.wait(), 5)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200


@pytest.mark.asyncio
async def test_it_takes_no_signal_handler_away():
    before = signal.getsignal(signal.SIGTERM)
    async with serving(Lifecycle(), Metrics()) as client:
        await client.get("/livez")
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.asyncio
async def test_when_cancelled_it_gives_the_port_back_at_once():
    idle: list[asyncio.StreamWriter] = []
    async with serving(Lifecycle(), Metrics()) as client:
        port = client.base_url.port
        assert port is not None
        await client.get("/livez")
        _, writer = await asyncio.open_connection("127.0.0.1", port)  # says nothing and stays
        idle.append(writer)
    health.listen(f"127.0.0.1:{port}").close()
    idle[0].close()


@pytest.mark.asyncio
async def test_a_port_in_use_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(health.AddressUnavailable) as fault:
            await health.serve(address, Lifecycle(), Metrics())
    assert str(fault.value) == (
        f"Cannot listen on {address} (Address already in use): "
        "stop the other program, or choose another address with --set http.listen=HOST:PORT."
    )


@pytest.mark.parametrize(
    "address", ["8080", "localhost", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1", ":²", ""]
)
def test_what_is_no_address_is_said_so(address: str):
    with pytest.raises(health.AddressUnavailable, match="Write HOST:PORT"):
        health.listen(address)


def test_a_name_that_does_not_exist_is_said_so():
    with pytest.raises(health.AddressUnavailable, match=r"Cannot listen on no-such-host\.invalid:1"):
        health.listen("no-such-host.invalid:1")


@pytest.mark.parametrize(("address", "host"), [(":0", "0.0.0.0"), ("localhost:0", "127.0.0.1"), ("[::1]:0", "::1")])
def test_addresses(address: str, host: str):
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with contextlib.closing(health.listen(address)) as listening:
        assert listening.getsockname()[0] == host
