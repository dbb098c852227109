"""The configuration of the demo: what `tocsin init` writes, with the demo world's brands, sources and channels put in."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from ingest.brand import Brand
from ingest.source import source_id
from services.cli.init import EXAMPLE
from services.demo.feeds import FEEDS, Feed
from services.demo.world import SITES

BRANDS = (
    Brand(name="Kometa", aliases=("Komet*", "Komecie", "Комет*")),
    Brand(name="Lumivo", aliases=("Лумиво",)),
    Brand(name="Zentaro", aliases=("Зентаро",)),
)
KAFKA_PARTITIONS = 2
"""Enough to share; a demo hurries through two weeks, and every partition wants to hear of every five minutes."""
ESCALATES = "10m"
"""When the mail goes out if nobody has acknowledged."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the demo world's servers listen."""

    base: str
    """Of the web server, `http://host:port`."""
    smtp: tuple[str, int]
    health: str = "127.0.0.1:0"
    """Where Tocsin itself answers."""


def write(folder: Path, addresses: Addresses, kafka: str | None = None) -> Path:
    """Write `tocsin.yaml` into a folder; its log and its database lie beside it, unless the log is a Kafka."""
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["brands"] = [{"name": brand.name, "aliases": list(brand.aliases)} for brand in BRANDS]
    document["sources"] = [_source(feed, addresses.base) for feed in FEEDS]
    host, port = addresses.smtp
    document["channels"] = {
        "slack": {"kind": "slack", "url": f"{addresses.base}/slack"},
        "robot": {"kind": "webhook", "url": f"{addresses.base}/webhook"},
        "on-call": {
            "kind": "email",
            "host": host,
            "port": port,
            "security": "none",
            "from": "tocsin@demo.example",
            "to": "on-call@demo.example",
        },
    }
    document["paging"] = [{"channel": "slack"}, {"channel": "robot"}, {"channel": "on-call", "after": ESCALATES}]
    document["http"] = {"listen": addresses.health}
    if kafka:
        document["log"] = {"url": f"kafka://{kafka}", "partitions": KAFKA_PARTITIONS}
    path = folder / "tocsin.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def titles(base: str) -> dict[str, str]:
    """Id of a source, as a page names it -> the feed's short title."""
    return {source_id(feed.kind, base + feed.path): feed.title.partition(":")[0] for feed in FEEDS}


def _source(feed: Feed, base: str) -> dict[str, object]:
    about = next((site.brands for site in SITES if site.name == feed.name), ())
    only = {"brands": list(about)} if about and len(about) < len(BRANDS) else {}
    return {"kind": feed.kind, "url": base + feed.path, "private": True, **only}
