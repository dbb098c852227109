"""What a request to a source came to."""

from dataclasses import dataclass
from typing import Literal

FetchReason = Literal[
    "bad-url",
    "forbidden-address",
    "robots",
    "dns",
    "refused",
    "timeout",
    "tls",
    "too-large",
    "bad-encoding",
    "bad-redirect",
    "broken-answer",
    "rate-limited",
    "status-4xx",
    "status-5xx",
]
"""Why a request failed: log field and metric label."""


@dataclass(frozen=True, slots=True)
class Caching:
    """Headers of an answer that decide about the next request, as they came."""

    etag: str | None = None
    last_modified: str | None = None
    cache_control: str | None = None
    expires: str | None = None
    retry_after: str | None = None

    @property
    def validators(self) -> bool:
        """Whether the next request can be conditional."""
        return bool(self.etag or self.last_modified)


@dataclass(frozen=True, slots=True)
class Answer:
    """The server has answered: 200 with a body, or 304 without."""

    status: int
    url: str
    """Where it came from, after redirects."""
    moved: str | None
    """The new address, where every redirect to it was permanent (301, 308)."""
    caching: Caching
    content_type: str | None
    body: bytes

    @property
    def unchanged(self) -> bool:
        """Whether it says that nothing is new since the validators that were sent."""
        return self.status == 304


@dataclass(frozen=True, slots=True)
class Failure:
    """There is no document, and why. The sentence names the host, never the whole address."""

    reason: FetchReason
    sentence: str
    status: int | None = None
    caching: Caching = Caching()
