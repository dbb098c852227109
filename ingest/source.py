"""What a source is, what it gives, and what a kind of source has to provide."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from ingest.duration import Duration


class SourceConfig(BaseModel):
    """What every kind of source has in the configuration; each kind adds its own in its own file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description="Kind of the source.")
    url: str = Field(description="Address to ask.")
    brands: tuple[str, ...] = Field(
        default=(), description="Look only for these brands in it; without it, for all of them."
    )
    every: Duration | None = Field(
        default=None, description="Shortest time between two requests, e.g. `10m`; never under the polite floor."
    )
    private: bool = Field(default=False, description="Whether the address may lie in a private network.")

    @property
    def id(self) -> str:
        """Name of the source in the database, in metrics and on the wire: kind and address (secrets cut out)."""
        return source_id(self.kind, self.url)


def source_id(kind: str, url: str) -> str:
    """Kind, host and a hash of the address: stable, and it gives no secret away."""
    host = urlsplit(url).hostname or "file"
    return f"{kind}:{host}:{hashlib.sha256(url.encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class Item:
    """One post as a source gives it. Texts are plain text: no markup, whitespace folded."""

    id: str | None
    """The source's own id of the post (guid), or None."""
    url: str | None
    title: str
    text: str
    author: str | None = None
    published: float | None = None
    """Seconds since the epoch, UTC; None where it is missing or cannot be (before 1995, unreadable)."""
    language: str | None = None
    stars: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """What else the kind has; shown by `tocsin fetch`, not sent on."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a document holds, in document order, none folded."""

    items: Sequence[Item]
    interval: float | None = None
    """Seconds between polls that the document itself asks for (`ttl`, `sy:updatePeriod`)."""
    stable_ids: bool = True
    """Whether `Item.id` names the same post at every fetch."""


class Unparsable(Exception):
    """The document is not of this kind; the message is one sentence for the user."""


class Kind(Protocol):
    """One kind of source. A module of `ingest.sources` is one: its names are these."""

    NAME: str
    """As the configuration says it."""
    TERMS: str
    """What the terms of use of such sources ask, in a sentence; shown by `tocsin check`."""
    OBEYS_ROBOTS: bool
    """Whether robots.txt decides if it may be fetched (pages yes, feeds the user added no)."""
    PERMALINKS: bool
    """Whether an item's address names this one post (reviews of one product often share the product's)."""
    Config: type[SourceConfig]
    """Its part of the configuration."""

    def parse(self, body: bytes, content_type: str | None, url: str) -> Parsed:
        """Bytes -> items. Pure. Raises `Unparsable`."""
        ...
