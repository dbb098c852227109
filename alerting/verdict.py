"""What the detector says, and in which words."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

PAGE, BURST, CLOSE = 1, 2, 3
KINDS = {PAGE: "page", BURST: "burst", CLOSE: "close"}
RULES = ("sustained", "surge", "burst", "faded", "new-level")
SUSTAINED, SURGE, BURSTING, FADED, NEW_LEVEL = range(5)
THRESHOLD = 8.25  # nats, at half a page per brand and month

Sensitivity = Literal["quiet", "normal", "loud"]

# A verdict as the compiled code writes it.
EVENT = np.dtype(
    [
        ("brand", np.int64),
        ("end", np.int64),
        ("kind", np.int64),
        ("rule", np.int64),
        ("since", np.int64),
        ("score", np.float64),
        ("observed", np.float64),
        ("expected", np.float64),
    ]
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The only knobs a user sees: how many false pages a brand may bring, and how much evidence a page needs."""

    pages_per_month: float = 0.5
    sensitivity: Sensitivity = "normal"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision about one brand after one bin."""

    brand: int
    end: int
    """End of the bin after which it was decided, s since epoch (UTC)."""
    kind: str
    """page, burst (outstanding, but short so far: a lesser severity) or close."""
    score: float
    """The running evidence in nats; comparable over brands."""
    expected: float
    """Negative mentions usual from `since` to `end`."""
    observed: int
    ratio: float
    since: int
    """Start of the first bin of the evidence, s since epoch."""
    rule: str
    """Which rule decided: one of RULES."""
    reason: str
    """One English sentence with the numbers."""


def threshold(settings: Settings) -> float:
    """The score from which a brand is paged, in nats: twice the pages cost ln 2 less evidence."""
    if not settings.pages_per_month > 0:
        raise ValueError("pages_per_month must be above 0")
    shift = {"quiet": 1.0, "normal": 0.0, "loud": -1.0}[settings.sensitivity]
    return THRESHOLD + shift + math.log(0.5 / settings.pages_per_month)


def verdicts(events: NDArray[Any], limit: float) -> list[Verdict]:
    """In words; sorted by time and brand."""
    return [_verdict(events[i], limit) for i in np.lexsort((events["brand"], events["end"]))]


def _verdict(event: Any, limit: float) -> Verdict:
    expected, observed = float(event["expected"]), round(float(event["observed"]))
    verdict = Verdict(
        brand=int(event["brand"]),
        end=int(event["end"]),
        kind=KINDS[int(event["kind"])],
        score=float(event["score"]),
        expected=expected,
        observed=observed,
        ratio=observed / max(expected, 1e-9),
        since=int(event["since"]),
        rule=RULES[int(event["rule"])],
        reason="",
    )
    return replace(verdict, reason=_reason(verdict, limit))


def _reason(v: Verdict, limit: float) -> str:
    """One sentence with the numbers."""
    since = datetime.fromtimestamp(v.since, UTC).strftime("%Y-%m-%d %H:%M")
    lasted = _duration(v.end - v.since)
    counts = (
        f"{v.observed} negative mentions in {lasted} since {since} UTC, {v.ratio:.1f} times the usual {v.expected:.3g}"
    )
    if v.kind == "page":
        how = "a surge" if v.rule == "surge" else "a sustained rise"
        return f"{counts}: {how}, evidence {v.score:.1f} against a threshold of {limit:.1f}."
    if v.kind == "burst":
        return f"{counts}: far outside what the last 14 days have shown, but too short so far to be a crisis."
    if v.rule == "new-level":
        return f"{counts}: after three days this is taken as the new usual level."
    return f"{counts}: the last bins are back near the usual level."


def _duration(seconds: int) -> str:
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.1f} h" if minutes < 2880 else f"{minutes / 1440:.1f} days"
