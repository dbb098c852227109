"""Any program that takes a POST with JSON.

The body is the page (`alerting.channel.Page`) with `version`, `key` and `to`. Headers:

- `Idempotency-Key`: the same at every attempt to send the same page; a second one with the same key is no second page.
- `Tocsin-Timestamp`: seconds since the epoch, when this attempt was made.
- `Tocsin-Signature`: `sha256=` and the HMAC-SHA256, in hexadecimal digits, of the timestamp, a full stop and the body,
  under the secret of the configuration; without a secret the header is missing. A receiver refuses a wrong signature,
  and a timestamp that is more than five minutes away.

Any 2xx means that the receiver has it. 408, 425, 429 (with Retry-After) and 5xx are tried again; anything else is final.
"""

import hashlib
import hmac
from typing import Annotated, Literal

import msgspec
from pydantic import AfterValidator, Field, SecretStr

from alerting.channel import Channel, ChannelConfig, Delivered, Message, Outcome
from alerting.channels.http import Answer, Http, web_address

NAME = "webhook"
RECIPIENTS = True
VERSION = 1
"""Of the body; it grows when a key is renamed or removed."""


class Config(ChannelConfig):
    """A POST with JSON to a program of your own."""

    kind: Literal["webhook"] = Field(default="webhook", description="Kind of the channel.")
    url: Annotated[str, AfterValidator(web_address)] = Field(
        repr=False, description="Web address that takes the POST; it may lie in a private network."
    )
    secret: SecretStr | None = Field(
        default=None, min_length=8, description="Signs each POST, so that the receiver knows who sent it."
    )


class Webhook:
    """POSTs the page."""

    def __init__(self, config: Config, http: Http) -> None:
        self._config = config
        self._http = http

    async def send(self, message: Message) -> Outcome:
        """Any 2xx is a delivery; the body of the answer does not matter."""
        body = encode(message)
        answer = await self._http.post(self._config.url, body, self._headers(message, body), read=0)
        return Delivered(f"http {answer.status}") if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Give back connections."""
        await self._http.close()

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        timestamp = str(int(message.at))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tocsin",
            "Idempotency-Key": message.key,
            "Tocsin-Timestamp": timestamp,
        }
        if self._config.secret is not None:
            headers["Tocsin-Signature"] = signature(self._config.secret.get_secret_value(), timestamp, body)
        return headers


def encode(message: Message) -> bytes:
    """The body, the same at every attempt."""
    page = msgspec.to_builtins(message.page)
    return msgspec.json.encode({"version": VERSION, "key": message.key, "to": message.to, **page})


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What `Tocsin-Signature` has to be."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def make(config: ChannelConfig) -> Channel:
    """A webhook as configured."""
    assert isinstance(config, Config)
    return Webhook(config, Http())
