"""Who is paged in the demo: a Slack-like webhook, a generic webhook, a mail server. They keep what they receive."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Generic, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

MOST_BYTES = 1_000_000
Content = TypeVar("Content")
SLACK_BLOCKS = {"header", "section", "context", "divider", "actions", "rich_text", "image"}


@dataclass(frozen=True, slots=True)
class Received(Generic[Content]):
    """A message that came in."""

    at: float
    """By the demo's clock, seconds since the epoch."""
    content: Content


@dataclass
class Inbox:
    """Everything that was received."""

    now: Callable[[], float]
    slack: list[Received[Any]] = field(default_factory=list)
    email: list[Received[EmailMessage]] = field(default_factory=list)
    webhook: list[Received[Any]] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many messages of each kind."""
        return {"slack": len(self.slack), "email": len(self.email), "webhook": len(self.webhook)}

    def routes(self) -> list[Route]:
        """The webhooks."""
        return [
            Route("/slack", self._slack, methods=["POST"]),
            Route("/webhook", self._webhook, methods=["POST"]),
        ]

    async def _slack(self, request: Request) -> Response:
        body = await _json(request)
        fault = slack_fault(body)
        if fault:
            return PlainTextResponse(fault, 400)
        self.slack.append(Received(self.now(), body))
        return PlainTextResponse("ok")

    async def _webhook(self, request: Request) -> Response:
        body = await _json(request)
        if body is None:
            return PlainTextResponse("send JSON", 400)
        self.webhook.append(Received(self.now(), body))
        return PlainTextResponse("accepted", 202)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """A whole message has come in over SMTP."""
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        self.email.append(Received(self.now(), message))
        return "250 Message accepted for delivery"

    def smtp(self) -> SMTP:
        """A protocol for one connection to the mail server."""
        return SMTP(self, hostname="mail.demo.invalid", ident="demo", enable_SMTPUTF8=True, data_size_limit=MOST_BYTES)


async def _json(request: Request) -> Any:
    """The body as JSON, or None where it is none."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def slack_fault(payload: Any) -> str | None:
    """What Slack would answer instead of `ok` (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,

    limits of blocks: https://docs.slack.dev/reference/block-kit/blocks), or None."""
    if not isinstance(payload, dict):
        return "invalid_payload"
    blocks = payload.get("blocks", [])
    if not payload.get("text") and not blocks and not payload.get("attachments"):
        return "no_text"
    if not isinstance(blocks, list) or len(blocks) > 50 or not all(_block_fits(block) for block in blocks):
        return "invalid_blocks"
    if len(payload.get("attachments", [])) > 100:
        return "too_many_attachments"
    return None


def _block_fits(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") not in SLACK_BLOCKS:
        return False
    match block["type"]:
        case "header":
            return _text_fits(block.get("text"), 150, ("plain_text",))
        case "section":
            fields = block.get("fields", [])
            if "text" not in block and not fields:
                return False
            return ("text" not in block or _text_fits(block["text"], 3_000)) and (
                len(fields) <= 10 and all(_text_fits(one, 2_000) for one in fields)
            )
        case "context":
            return 1 <= len(block.get("elements", [])) <= 10
        case _:
            return True


def _text_fits(text: Any, most: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> bool:
    return (
        isinstance(text, dict)
        and text.get("type") in kinds
        and isinstance(text.get("text"), str)
        and 1 <= len(text["text"]) <= most
    )
