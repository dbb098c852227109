"""Counts of mentions in bins of five minutes of event time, and how much of a bin has been seen.

A bin is not answered or missing: its exposure, from 0 to 1, is the share of the brand's usual flow whose sources have
answered for that time. Polite polling asks some sources once an hour, so the last bins are always partly seen.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerting.detector import BIN_SECONDS

PROBATION = 2 * 86_400.0
"""Seconds in service after which a source that was added later counts as evidence for a brand."""
FIRST_DAY = 86_400.0
"""Sources that answer within this time after the brand's first answer belong to the brand's first set."""


@dataclass(slots=True)
class Bin:
    """What was published about a brand in one bin."""

    negative: int = 0
    """Negative origins: what the detector counts."""
    copies: int = 0
    unsure: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """One source at work for one brand."""

    since: float
    """Its first answer; what it held then is history."""
    last_answer: float
    """What was published up to here has been seen."""
    share: float = 1.0
    """Its weight in the brand's usual flow, in any unit."""


def bin_start(time: float) -> int:
    """Start of the bin that a time falls into, s since epoch."""
    return int(time // BIN_SECONDS) * BIN_SECONDS


def in_evidence(service: Service, services: Mapping[str, Service], clock: float) -> bool:
    """Whether a source counts for the brand: from the beginning, or two days after it was added.

    A new source is a step in the rate, not a crisis.
    """
    first = min(s.since for s in services.values())
    return service.since <= first + FIRST_DAY or clock >= service.since + PROBATION


def evidence(services: Mapping[str, Service], clock: float) -> dict[str, Service]:
    """The sources that count for a brand."""
    return {name: s for name, s in services.items() if in_evidence(s, services, clock)}


def exposure(starts: NDArray[np.int64], services: Iterable[Service]) -> NDArray[np.float64]:
    """Share of the usual flow that has been seen, for each bin.

    A source's answer settles every bin that ended before it, back to its first contact.

    Args:
        starts: [bins] start seconds.
        services: the sources in evidence.
    """
    ends = starts + BIN_SECONDS
    seen = np.zeros(len(starts))
    whole = 0.0
    for service in services:
        whole += service.share
        seen += service.share * ((ends <= service.last_answer) & (starts >= service.since))
    return np.minimum(1.0, seen / whole) if whole else seen


def earliest_change(before: Service | None, after: Service) -> int:
    """Start of the first bin whose exposure an answer changes."""
    return bin_start(after.since if before is None else before.last_answer)
