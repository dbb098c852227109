"""When to ask a source again (pure).

What readers and servers agreed on: conditional requests, the document's own wishes (`ttl`, `sy:updatePeriod`), the
server's (`Cache-Control`, `Expires`, `Retry-After`), the pace at which it publishes, back-off on errors, jitter.
"""

import hashlib
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from ingest.answer import Caching

DueReason = Literal["every", "pace", "document", "floor", "cache", "retry-after", "back-off"]
"""What decided about the time: log field and metric label."""

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
FLOOR_CONDITIONAL = 5 * MINUTE
"""Where the server gave validators: an unchanged document costs it next to nothing."""
FLOOR_UNCONDITIONAL = 30 * MINUTE
FLOOR_OWN = 10.0
"""In one's own network."""
SLOWEST = HOUR
"""By its own pace no source is asked less often: an early warning must not wait for a quiet one."""
LONGEST = DAY
"""Bound of what documents and servers may ask for."""
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the source and the user want."""

    every: float | None = None
    """Configured interval in seconds."""
    document: float | None = None
    """Interval that the document asks for."""
    posts_per_day: float | None = None
    private: bool = False


def next_poll(source: str, now: float, wishes: Wishes, caching: Caching) -> tuple[float, DueReason]:
    """After an answer: when to ask again, and what decided. Never under the floor, `max-age` and `Expires`."""
    bounds: list[tuple[float, DueReason]] = [(floor(wishes.private, caching), "floor")]
    if wishes.every is not None:
        bounds.append((wishes.every, "every"))
    else:
        bounds.append((pace(wishes.posts_per_day), "pace"))
        bounds.append((min(wishes.document or 0.0, LONGEST), "document"))
    bounds.append((fresh_for(caching, now), "cache"))
    interval, reason = max(bounds, key=lambda bound: bound[0])
    return now + jittered(source, now, interval), reason


def next_try(
    source: str, now: float, failures: int, *, transient: bool, wishes: Wishes, caching: Caching
) -> tuple[float, DueReason]:
    """After the `failures`-th failure in a row: when to try again. Never given up.

    A server or network that fails may be back in minutes: 5 minutes, doubled each time, up to an hour, then as for a
    document that is refused or unreadable: Feedbin's `clamp(failures, 8, 23) ** 4` seconds, 1.1 hours to 3.2 days.
    """
    shortest = FLOOR_OWN if wishes.private else FLOOR_CONDITIONAL
    doubled = shortest * 2.0 ** min(failures - 1, 20)
    interval = doubled if transient and doubled < HOUR else float(max(8, min(failures, 23)) ** 4)
    if wishes.private:
        interval = min(interval, HOUR)
    asked = retry_after(caching.retry_after, now)
    reason: DueReason = "retry-after" if asked > interval else "back-off"
    return now + jittered(source, now, max(interval, asked)), reason


def floor(private: bool, caching: Caching) -> float:
    """The shortest polite interval in seconds."""
    if private:
        return FLOOR_OWN
    return FLOOR_CONDITIONAL if caching.validators else FLOOR_UNCONDITIONAL


def pace(posts_per_day: float | None) -> float:
    """Half of the mean gap between posts, from 5 minutes to an hour; unknown is 15 minutes."""
    if posts_per_day is None:
        return 15 * MINUTE
    return max(FLOOR_CONDITIONAL, min(SLOWEST, DAY / max(posts_per_day, 1e-9) / 2))


def fresh_for(caching: Caching, now: float) -> float:
    """Seconds for which the server calls its answer fresh: `max-age` beats `Expires`, `no-cache` cancels both."""
    directives = (caching.cache_control or "").lower()
    if re.search(r"\bno-(cache|store)\b", directives):
        return 0.0
    if found := re.search(r"\bmax-age\s*=\s*\"?(\d{1,9})", directives):
        return min(float(found.group(1)), LONGEST)
    return _until(caching.expires, now)


def retry_after(value: str | None, now: float) -> float:
    """Seconds from `Retry-After`, given as seconds or as a date; 0 where it is missing, past or unreadable."""
    if value and re.fullmatch(r"\s*\d{1,9}\s*", value):
        return min(float(value), LONGEST)
    return _until(value, now)


def _until(date: str | None, now: float) -> float:
    try:
        moment = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
    return max(0.0, min(moment - now, LONGEST))


def jittered(source: str, now: float, interval: float) -> float:
    """The interval, longer by up to a tenth: the same for the same source and time."""
    draw = int.from_bytes(hashlib.blake2b(f"{source}\x00{now}".encode(), digest_size=8).digest()) / 2**64
    return interval * (1 + JITTER * draw)
