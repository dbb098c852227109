"""What a channel is told to send, what it answers, and what a kind of channel has to provide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Quote:
    """A mention that a page shows. All of it was written by strangers: channels escape it."""

    text: str
    url: str | None
    author: str | None
    language: str
    source: str
    published: float


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that a message about an incident says. Times are seconds since the epoch, UTC."""

    incident: str
    """Its id, as `tocsin ack ID` takes it."""
    kind: Literal["page", "close", "test"]
    brand: str
    opened: float
    since: float
    """Start of the first bin of the evidence."""
    expected: float
    observed: int
    ratio: float
    rule: str
    reason: str
    sources: Sequence[tuple[str, float]] = ()
    """Shares of the negative mentions by source, largest first; they sum to 1."""
    languages: Sequence[tuple[str, float]] = ()
    quotes: Sequence[Quote] = ()
    acknowledge: str = ""
    """What to do to acknowledge it: a command, or a link."""


@dataclass(frozen=True, slots=True)
class Message:
    """One row of the outbox, ready to be sent."""

    key: str
    """The same at every attempt: Message-ID, Idempotency-Key, dedup_key."""
    to: str
    page: Page
    attempt: int
    at: float
    """When this attempt is made, seconds since the epoch: dates and signatures are made of it."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The other side has it. `receipt` is what it said, to look it up by."""

    receipt: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It may work later (429, 5xx, time-out, dropped connection). `ambiguous`: the other side may have it already."""

    reason: str
    after: float | None = None
    """Seconds that the other side asked to wait."""
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never work (a permanent 4xx, a refused recipient): the next step of the policy is due at once."""

    reason: str


Outcome = Delivered | TryAgain | Refused


class ChannelConfig(BaseModel):
    """What every kind of channel has in the configuration; each kind adds its own in its own file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description="Kind of the channel.")


class Channel(Protocol):
    """One configured channel."""

    async def send(self, message: Message) -> Outcome:
        """Send once. The caller puts a deadline around it and decides about retries; never raises for what the
        other side does."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
