"""One HTTP request of a channel, and what its answer means for the page (the only file of alerting that imports httpx).

Unlike sources, channels may lie in private networks: the address is the user's own, never a stranger's.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx
from pydantic_core import PydanticCustomError

from alerting.channel import Refused, TryAgain

MAX_ANSWER = 65_536
"""Bytes of an answer that are read at most."""
LATER = {408, 425, 429}
"""Statuses of the 4xx that may pass."""
MAYBE_DONE = {500, 502, 504}
"""Statuses after which the other side may have it."""

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and those of webhooks are secrets


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx with the beginning of its body."""

    status: int
    body: bytes


def web_address(address: str) -> str:
    """Check the address of a webhook, for a configuration. Raises what pydantic shows to the user."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        sentence = "Write a web address that begins with https:// or http://."
        raise PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})
    return address


class Http:
    """Connections of one channel. No redirect is followed: a page goes where the user said."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(10.0, connect=5.0), follow_redirects=False)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, read: int = MAX_ANSWER
    ) -> Answer | TryAgain | Refused:
        """POST once, and read at most `read` bytes of a 2xx. Never raises for what the other side does."""
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as response:
                verdict = judge(response.status_code, response.headers)
                return verdict or Answer(response.status_code, await _beginning(response, read))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return TryAgain("unreachable")
        except httpx.TimeoutException:
            return TryAgain("no_answer", ambiguous=True)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
            return Refused("bad_address")
        except (httpx.TransportError, httpx.DecodingError):
            return TryAgain("connection_lost", ambiguous=True)

    async def close(self) -> None:
        """Give back connections."""
        await self._client.aclose()


def judge(status: int, headers: Mapping[str, str]) -> TryAgain | Refused | None:
    """What a status means; None for success."""
    if 200 <= status < 300:
        return None
    if status in LATER or status >= 500:
        return TryAgain(f"http_{status}", retry_after(headers), ambiguous=status in MAYBE_DONE)
    return Refused(f"http_{status}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the other side asks to wait (RFC 9110, 10.2.3); a date counts from the answer's own `Date`."""
    said = headers.get("retry-after", "").strip()
    try:
        seconds = float(said) if said[:1].isdigit() else _date(said) - _date(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _date(said: str) -> float:
    when = parsedate_to_datetime(said)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


async def _beginning(response: httpx.Response, most: int) -> bytes:
    """What comes after `most` bytes is not waited for."""
    body = bytearray()
    if most:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) >= most:
                break
    return bytes(body[:most])
