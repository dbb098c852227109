"""Kinds of channels, one a file. A new kind: one file, and one line here."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from alerting.channel import Channel, ChannelConfig, Message, Outcome, Page, TryAgain
from alerting.channels import email, slack, webhook

SEND_SECONDS = 15.0
"""How long one attempt may take altogether."""


class Kind(Protocol):
    """One kind of channel. A module here is one: its names are these."""

    NAME: str
    """As the configuration says it."""
    RECIPIENTS: bool
    """Whether a step of the escalation policy may say `to` whom."""
    Config: type[ChannelConfig]
    """Its part of the configuration."""

    def make(self, config: ChannelConfig) -> Channel:
        """A channel as configured; connects to nothing yet."""
        ...


KINDS: Mapping[str, Kind] = {kind.NAME: kind for kind in (slack, email, webhook)}
"""By name."""


def make(config: ChannelConfig) -> Channel:
    """A channel of the kind that its configuration says."""
    return KINDS[config.kind].make(config)


async def attempt(channel: Channel, message: Message, seconds: float = SEND_SECONDS) -> Outcome:
    """Send once, within a total deadline however slowly the other side answers."""
    try:
        async with asyncio.timeout(seconds):
            return await channel.send(message)
    except TimeoutError:
        return TryAgain("deadline", ambiguous=True)


def trial(now: float) -> Message:
    """A message that says only that the channel works; each has a key of its own."""
    page = Page(
        incident="test",
        kind="test",
        brand="Tocsin",
        opened=now,
        since=now,
        expected=0.0,
        observed=0,
        ratio=0.0,
        rule="",
        reason="",
    )
    return Message(key=f"test-{now:.0f}", to="", page=page, attempt=1, at=now)
