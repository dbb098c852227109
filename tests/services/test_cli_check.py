import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import tocsin, tocsin_process

TWO_HOURS_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
FEED = f"""<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><language>pl</language>
<item><guid>1</guid><title>Kometa zamyka kawiarnie</title><pubDate>{format_datetime(TWO_HOURS_AGO)}</pubDate>
<description>Kometa ogłosiła, że zamyka trzy kawiarnie w centrum miasta i zwalnia pracowników.</description></item>
<item><guid>2</guid><title>Pogoda na jutro</title><description>Jutro będzie ciepło i słonecznie w całym kraju.</description></item>
</channel></rss>"""


class World:
    """A web server that has feeds and takes messages."""

    def __init__(self) -> None:
        self.agents: list[str] = []
        self.messages: list[tuple[str, dict[str, Any]]] = []
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                world.agents.append(self.headers["User-Agent"])
                if self.path == "/moved.xml":
                    self._answer(308, b"", Location="/feed.xml")
                else:
                    status, body = {"/feed.xml": (200, FEED), "/page": (200, "<html><body>Hi</body></html>")}.get(
                        self.path, (503, "")
                    )
                    self._answer(status, body.encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                world.messages.append((self.path, body))
                self._answer(*((200, b"ok") if self.path == "/hook" else (404, b"no_service")))

            def _answer(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    thread = threading.Thread(target=world.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield world
    world.server.shutdown()
    thread.join()
    world.server.server_close()


def configuration(world: World, *sources: str, hook: str = "/hook") -> str:
    listed = "".join(f"  - {{kind: feed, url: '{world.url}{path}', private: true, every: 10m}}\n" for path in sources)
    return (
        "brands:\n  - name: Kometa\n  - name: Arden\n"
        f"sources:\n{listed}channels:\n  team: {{kind: slack, url: '{world.url}{hook}'}}\n  robot: {{kind: webhook, url: '{world.url}{hook}'}}\n"
        "paging: [{channel: team}, {channel: robot, to: night}, {channel: robot, to: day, after: 5m}]\n"
    )


def test_check_says_what_each_source_holds_and_keeps_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(configuration(world, "/feed.xml"))
    told = tocsin_process("check", "--json", "--set", "http.contact=press@acme.example", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    (source,) = json.loads(told.stdout)["sources"]
    assert source["items"] == 2
    assert source["newest"] == TWO_HOURS_AGO.isoformat().replace("+00:00", "Z")
    assert source["languages"] == {"pl": 2}
    assert source["brands"] == {"Kometa": 1, "Arden": 0}
    assert 600 <= source["interval"] <= 660
    assert source["interval_reason"] == "every"
    assert source["delay"] == source["interval"] / 2
    assert source["terms"].endswith(".")
    assert world.agents[-1].endswith("(+mailto:press@acme.example)")
    assert [channel["tried"] for channel in json.loads(told.stdout)["channels"]] == [False, False, False]
    assert not world.messages
    assert [file.name for file in tmp_path.iterdir()] == ["tocsin.yaml"]


def test_check_tells_people_the_same_in_a_table(world: World, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(configuration(world, "/feed.xml"))
    told = tocsin("check", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    for words in ("127.0.0.1", "2h", "pl 2", "Kometa 1, Arden 0", "about 5m", "not tried: use --send"):
        assert words in told.stdout
    assert "`http.contact` is not set" in told.stdout
    assert "Terms of use, feed: " in told.stdout


def test_check_fails_when_one_source_fails_and_says_which_and_why(world: World, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(configuration(world, "/feed.xml", "/gone.xml", "/page", "/moved.xml"))
    told = tocsin("check", folder=tmp_path)
    assert told.returncode == 1
    assert "Source 1 (feed 127.0.0.1) failed: " in told.stdout
    assert "Source 2 (feed 127.0.0.1) failed: This is a web page, not a feed" in told.stdout
    assert f"Source 3 has moved for good. Write its new address: {world.url}/feed.xml" in told.stdout
    assert "Source 0 (" not in told.stdout


def test_check_of_a_private_address_says_how_to_allow_it(world: World, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(configuration(world, "/feed.xml"))
    told = tocsin("check", "--set", "sources.0.private=false", folder=tmp_path)
    assert told.returncode == 1
    assert "set `private: true` on the source" in told.stdout


def test_check_send_tries_everybody_who_would_be_paged(world: World, tmp_path: Path) -> None:
    world.messages.clear()
    (tmp_path / "tocsin.yaml").write_text(configuration(world, "/feed.xml"))
    told = tocsin("check", "--send", folder=tmp_path)
    assert told.returncode == 0, told.stdout
    assert told.stdout.count("taken") == 3
    robots = [body for _, body in world.messages if "key" in body]
    assert len(world.messages) == 3
    assert sorted(body["to"] for body in robots) == ["day", "night"]
    assert all(body["kind"] == "test" for body in robots)
    assert len({body["key"] for body in robots}) == 2, "one key for two people would be one message"


def test_check_send_fails_when_a_channel_refuses(world: World, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(configuration(world, "/feed.xml", hook="/no-hook"))
    told = tocsin("check", "--send", folder=tmp_path)
    assert told.returncode == 1
    assert "Channel team failed: It refused the message for good: http_404." in told.stdout
