"""Slack, by an incoming webhook.

Formats and limits: https://docs.slack.dev/reference/block-kit/blocks and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (its errors are status codes with a word as
the body). A webhook cannot be asked what it has, so after an ambiguous failure a page may arrive twice.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from alerting import wording
from alerting.channel import Channel, ChannelConfig, Delivered, Message, Outcome, Page, TryAgain
from alerting.channels.http import Answer, Http, web_address

NAME = "slack"
RECIPIENTS = False
MOST_HEADER, MOST_SECTION = 150, 3_000
"""Characters, after escaping."""


class Config(ChannelConfig):
    """A channel of Slack, by an incoming webhook."""

    kind: Literal["slack"] = Field(default="slack", description="Kind of the channel.")
    url: Annotated[str, AfterValidator(web_address)] = Field(
        repr=False, description="Address of the incoming webhook, a secret: write it as `${SLACK_WEBHOOK}`."
    )


class Slack:
    """Posts to one incoming webhook."""

    def __init__(self, url: str, http: Http) -> None:
        self._url = url
        self._http = http

    async def send(self, message: Message) -> Outcome:
        """Slack answers 200 and `ok`; anything else with a 200 is somebody in between."""
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "tocsin"}
        answer = await self._http.post(self._url, json.dumps(payload(message.page)).encode(), headers)
        if not isinstance(answer, Answer):
            return answer
        return Delivered("ok") if answer.body.strip() == b"ok" else TryAgain("not_slack", ambiguous=True)

    async def close(self) -> None:
        """Give back connections."""
        await self._http.close()


def payload(page: Page) -> dict[str, Any]:
    """The message. What strangers wrote is plain text for Slack: no mention, no link, no format comes out of it."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(wording.headline(page), MOST_HEADER)},
        *_section("\n".join(f"{name}: {value}" for name, value in wording.facts(page))),
    ]
    for said, origin, url in wording.quotes(page):
        blocks += _section(f"“{said}”")
        elements = [_plain(origin, 300)]
        if url:
            elements.append({"type": "mrkdwn", "text": f"<{escape(url)}>", "verbatim": True})
        blocks.append({"type": "context", "elements": elements})
    blocks += _section(wording.advice(page))
    return {
        "text": _fit(wording.subject(page), MOST_SECTION),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _section(text: str) -> list[dict[str, Any]]:
    return [{"type": "section", "text": _plain(text, MOST_SECTION)}] if text else []


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _fit(text, most), "emoji": False}


def _fit(text: str, most: int) -> str:
    """Escaped, and then at most so many characters."""
    keep = most
    while len(escaped := escape(wording.cut(text, keep))) > most:
        keep = keep * most // len(escaped)
    return escaped


def escape(text: str) -> str:
    """Slack's three control characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def make(config: ChannelConfig) -> Channel:
    """A Slack channel as configured."""
    assert isinstance(config, Config)
    return Slack(config.url, Http())
