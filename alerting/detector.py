"""Counts of negative mentions per brand -> page, burst, close. Pure: no clock, no I/O; only looks back.

A bin goes through the steps of `judge`: what is usual (baseline.py), how it scatters (dispersion.py), what the count
says for a crisis rather than a burst (evidence.py); here it is decided whether that pages, and when it is over.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from alerting.baseline import (
    DAY,
    MONTH,
    SETTLED,
    forget_level,
    hour_of_week,
    learn_level,
    learn_noise,
    learn_profile,
    refresh_profile,
    seasonal,
    spread,
    uncertainty,
)
from alerting.brand_state import RING, State, compiled
from alerting.dispersion import LOG_DOUBT, learn_dispersion, refresh_dispersion, settle_silence, silence_doubt
from alerting.evidence import (
    SIZE,
    additive_ratio,
    clear_evidence,
    count_bursts,
    forget_evidence,
    leading,
    temper,
    total_evidence,
    weigh,
)

__all__ = ["BIN_SECONDS", "Settings", "State", "Verdict", "update", "threshold"]

BIN_SECONDS = 300
THRESHOLD = 8.0
NO_PAGES = 2 * DAY
EXCURSION_HIGH, EXCURSION_LOW, EXCURSION_MEMORY = 4.5, 2.5, 42.0 * DAY
EXCURSIONS_FROM = 10 * DAY
CLOSE_AT, CLOSE_DRIFT, RECENT_MEMORY = 4.0, 0.03, 72.0
ACCEPTED = 3 * DAY
MISTAKEN = 0.08  # share of mentions that are not negative and are called so, when nothing better is known
OTHERS_MEMORY = 7.0 * DAY
BURST_WINDOWS = np.array([1, 3, 12, 36])
BURST_SD = np.array([15.0, 10.0, 5.0, 3.6])
BURST_SD_MEMORY = 14.0 * DAY
BURST_LEAST = 5.0  # mentions; fewer are no burst, whatever is usual

PAGE, BURST, CLOSE = 1, 2, 3
KINDS = {PAGE: "page", BURST: "burst", CLOSE: "close"}
RULES = ("sustained", "surge", "burst", "faded", "new-level")
SUSTAINED, SURGE, BURSTING, FADED, NEW_LEVEL = range(5)

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
    """The only knobs a user sees."""

    pages_per_month: float = 0.5
    sensitivity: Literal["quiet", "normal", "loud"] = "normal"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision about one brand after one bin."""

    brand: int
    end: int
    kind: str
    score: float
    expected: float
    observed: int
    ratio: float
    since: int
    rule: str
    reason: str


def threshold(settings: Settings) -> float:
    """The score from which a brand is paged, in nats."""
    shift = {"quiet": 1.0, "normal": 0.0, "loud": -1.0}[settings.sensitivity]
    return THRESHOLD + shift + math.log(0.5 / settings.pages_per_month)


@compiled
def learnt_caution(s: Any) -> float:
    """Nats to add to the threshold: how often evidence rose here for nothing, against once a month."""
    caution = math.log((s.excursions + 6.0) / (12.0 * s.excursion_months + 6.0))
    return min(1.0, max(-0.4, caution))


@compiled
def mistaken_part(s: Any, count: float, total: float, expected: float) -> float:
    """Negatives that a rise of the other mentions explains: MISTAKEN of them are called negative wrongly."""
    if math.isnan(total):
        return 0.0
    others = max(0.0, total - count)
    usual = expected * s.others / s.others_expected if s.others_expected > 0.0 else others
    part = MISTAKEN / (1.0 - MISTAKEN) * max(0.0, others - usual)
    keep = math.exp(-1.0 / OTHERS_MEMORY)
    if s.open == 0:
        s.others = keep * s.others + (others if s.seen < NO_PAGES else min(others, 3.0 * usual + 3.0))
        s.others_expected = keep * s.others_expected + expected
    return part


@compiled
def learn(s: Any, count: float, expected: float, extra: float, exposure: float, shape: float, cell: int) -> None:
    """Teaches the baseline what this bin shows to be usual; from day 14 on not what is out of the ordinary."""
    settled = s.seen >= SETTLED
    if settled and (s.open > 0 or silence_doubt(s) > LOG_DOUBT):
        s.last_excess = math.nan
        return
    sd = spread(s, expected, cell)
    clipped = min(count, expected + 4.0 * sd + 3.0 * s.dispersion) if settled else count
    usual = max(0.0, clipped - extra)
    learn_dispersion(s, min(count, expected + 4.0 * sd + 6.0 * s.dispersion), expected)
    learn_noise(s, usual, expected - extra)
    learn_level(s, usual, exposure, shape)
    learn_profile(s, usual, exposure, cell)


@compiled
def refresh(s: Any, start: int) -> None:
    """Once an hour: dispersion and profile from what was learnt."""
    cell = hour_of_week(start + 150)
    if cell != s.hour:
        refresh_dispersion(s)
        refresh_profile(s)
        s.hour = cell


@compiled
def burst_size(s: Any, count: float, expected: float) -> int:
    """Index of the window whose excess is outstanding against its own past, or -1; learns that past."""
    s.ring[s.ring_at] = count - expected
    s.ring_expected[s.ring_at] = expected
    s.ring_at = (s.ring_at + 1) % RING
    keep = math.exp(-1.0 / BURST_SD_MEMORY)
    found, total, at, observed = -1, 0.0, s.ring_at, 0.0
    window = 0
    for back in range(RING):
        at = at - 1 if at > 0 else RING - 1
        total += s.ring[at]
        observed += s.ring[at] + s.ring_expected[at]
        if back + 1 == BURST_WINDOWS[window]:
            sd = math.sqrt(s.excess_moment[window] / max(s.excess_weight, 1.0))
            if total > BURST_SD[window] * sd and observed >= BURST_LEAST and found < 0:
                found = window
            s.excess_moment[window] = keep * s.excess_moment[window] + total * total
            window += 1
    s.excess_weight = keep * s.excess_weight + 1.0
    return found


@compiled
def still_open(s: Any, count: float, observed: float, expected: float, doubt: float) -> int:
    """Moves an open incident by one bin; the rule that closes it, or -1."""
    keep = math.exp(-1.0 / RECENT_MEMORY)
    s.open += 1
    s.open_observed += observed
    s.open_expected += expected
    s.recent_observed = keep * s.recent_observed + count
    s.recent_expected = keep * s.recent_expected + expected
    size = s.recent_observed / max(s.recent_expected, 1e-9)
    close_size = max(1.5, 1.0 + 0.35 * (size - 1.0))
    gain = temper(s, expected, doubt, 2) * additive_ratio(count, expected, s.dispersion, close_size)
    s.closing = max(0.0, s.closing + CLOSE_DRIFT - gain)
    if s.closing >= CLOSE_AT:
        return FADED
    if s.open > ACCEPTED:
        return NEW_LEVEL
    return -1


@compiled
def open_incident(s: Any, size: float, since: int, observed: float, expected: float, usual: float) -> None:
    s.open = 1
    s.open_since = since
    s.open_observed = observed
    s.open_expected = expected
    s.recent_expected = max(expected, 6.0 * usual)
    s.recent_observed = size * s.recent_expected
    s.closing = 0.0


@compiled
def weighted_size(s: Any) -> float:
    """Size of the crisis: mean of the hypotheses, weighted by their evidence."""
    total, size = 1e-12, 1.5e-12
    for i in range(len(SIZE)):
        total += s.ratio[i]
        size += s.ratio[i] * SIZE[i]
    return size / total


@compiled
def accept_level(s: Any) -> None:
    """What lasted for three days is usual from now on."""
    factor = s.recent_observed / max(s.recent_expected, 1e-9)
    s.level *= factor
    s.level_exposure = min(s.level_exposure, 1.0 * DAY)
    s.level_square = min(s.level_square, s.level_exposure)
    s.level_count = s.level * (s.level_exposure + 1.0)


@compiled
def note_excursion(s: Any, score: float) -> None:
    keep = math.exp(-1.0 / EXCURSION_MEMORY)
    s.excursions *= keep
    s.excursion_months *= keep
    if s.seen < EXCURSIONS_FROM or s.open > 0:
        return
    s.excursion_months += 1.0 / MONTH
    if s.armed == 1 and score > EXCURSION_HIGH:
        s.armed = 0
        s.excursions += 1.0
    elif s.armed == 0 and score < EXCURSION_LOW:
        s.armed = 1


@compiled
def fill_event(e: Any, s: Any, kind: int, rule: int, score: float) -> None:
    e.end = s.next
    e.kind = kind
    e.rule = rule
    e.score = score
    if kind == PAGE:
        lead = leading(s)
        e.since, e.observed, e.expected = s.since[lead], s.since_observed[lead], s.since_expected[lead]
    elif kind == CLOSE:
        e.since, e.observed, e.expected = s.open_since, s.open_observed, s.open_expected


@compiled
def fill_burst(e: Any, s: Any, window: int) -> None:
    bins = BURST_WINDOWS[window]
    observed, expected, at = 0.0, 0.0, s.ring_at
    for _ in range(bins):
        at = at - 1 if at > 0 else RING - 1
        observed += s.ring[at] + s.ring_expected[at]
        expected += s.ring_expected[at]
    e.since, e.observed, e.expected = s.next - bins * 300, observed, expected


@compiled
def decide(
    s: Any, e: Any, count: float, observed: float, expected: float, doubt: float, limit: float, window: int
) -> tuple[bool, float]:
    """After a bin was weighed: fills `e` and returns True when there is something to say, and the score."""
    caution = learnt_caution(s)
    evidence = total_evidence(s)
    score = evidence - caution
    if s.burst_quiet > 0:
        s.burst_quiet -= 1
    if s.open > 0:
        rule = still_open(s, count, observed, expected, doubt)
        if rule < 0:
            return False, score
        fill_event(e, s, CLOSE, rule, score)
        if rule == NEW_LEVEL:
            accept_level(s)
        s.open = 0
        clear_evidence(s)
        return True, score
    if score >= limit and s.seen >= NO_PAGES:
        lead = leading(s)
        fill_event(e, s, PAGE, SURGE if SIZE[lead] >= 5.0 else SUSTAINED, score)
        open_incident(s, weighted_size(s), s.since[lead], s.since_observed[lead], s.since_expected[lead], expected)
        if s.armed == 0:  # this excursion paged
            s.excursions = max(0.0, s.excursions - 1.0)
        s.armed = 1
        return True, score
    if window >= 0 and s.burst_quiet == 0 and s.seen >= NO_PAGES:
        s.burst_quiet = RING
        fill_event(e, s, BURST, BURSTING, score)
        fill_burst(e, s, window)
        return True, score
    return False, score


@compiled
def judge(s: Any, e: Any, start: int, count: float, total: float, exposure: float, limit: float) -> tuple[bool, float]:
    """One known bin."""
    refresh(s, start)
    cell = hour_of_week(start + 150)
    shape = seasonal(s, start)
    usual = max(1e-6, s.level * shape * exposure)
    extra = mistaken_part(s, count, total, usual)
    expected = usual + extra
    doubt = uncertainty(s, cell) + 0.25 * (extra / expected) ** 2
    fresh = settle_silence(s, count, expected)
    weigh(s, fresh, count, expected, doubt, start)
    s.next = start + 300
    s.gap = 0
    s.seen += 1
    window = burst_size(s, count, expected)
    said, score = decide(s, e, fresh, count, expected, doubt, limit, window)
    note_excursion(s, score + learnt_caution(s))
    count_bursts(s, s.open > 0)
    learn(s, count, expected, extra, exposure, shape, cell)
    return said, score


@compiled
def skip(s: Any) -> float:
    """One bin of which nothing is known: unknown, not zero. After a month of them nothing is left to forget."""
    if s.gap < MONTH:
        forget_evidence(s)
        forget_level(s)
    s.gap += 1
    s.next += 300
    return total_evidence(s) - learnt_caution(s)


@compiled
def run(
    brands: Any, start: Any, negative: Any, total: Any, exposure: Any, limit: float, scores: Any, events: Any, at: Any
) -> int:
    """All brands and bins; stops early when `events` is full (at = [brand, bin] says where) and returns their number."""
    found = 0
    first_bin = at[1]
    for b in range(at[0], len(brands)):
        s = brands[b]
        if s.next < 0:
            s.next = start[b]
        for t in range(first_bin, negative.shape[1]):
            if found == len(events):
                at[0], at[1] = b, t
                return found
            now = start[b] + 300 * t
            while s.next < now and s.gap < MONTH:
                skip(s)
            s.gap += (now - s.next) // 300
            s.next = now
            count, seen = negative[b, t], exposure[b, t]
            if math.isnan(count) or not seen > 0.0:
                scores[b, t] = skip(s)
                continue
            extra = total[b, t] if total.shape[0] > 0 else math.nan
            said, scores[b, t] = judge(s, events[found], now, count, extra, seen, limit)
            if said:
                events[found].brand = b
                found += 1
        first_bin = 0
    at[0], at[1] = len(brands), 0
    return found


def _source_digest() -> str:
    digest = hashlib.sha256()
    for name in ("brand_state", "special", "baseline", "dispersion", "evidence", "detector"):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()


def _entry(digest: str) -> Callable[..., int]:
    """The one function whose machine code is kept on disk.

    numba notices changes in this file by its date only, and none in the others. It does put the values of a
    function's closure into the key of its cache: the digest of all sources is such a value.
    """

    def entry(
        brands: Any, start: Any, negative: Any, total: Any, exposure: Any, limit: float, scores: Any, events: Any, at: Any
    ) -> int:
        if len(digest) == 0:
            return 0
        return run(brands, start, negative, total, exposure, limit, scores, events, at)

    try:
        return njit(cache=True)(entry)  # type: ignore[no-any-return]
    except RuntimeError:  # no directory to write to: compiled anew in each process
        return njit(entry)  # type: ignore[no-any-return]


_run = _entry(_source_digest())


def update(
    state: State,
    start: NDArray[np.int64],
    negative: NDArray[np.float64],
    total: NDArray[np.float64] | None,
    exposure: NDArray[np.float64],
    settings: Settings,
) -> tuple[State, list[Verdict], NDArray[np.float64]]:
    """Judges the next bins of many brands.

    start: [brands], the first second of the first bin given, each brand on a grid of its own; bins between what the
    state has seen and `start` are gaps. negative, total, exposure: [brands, bins]; a NaN count or an exposure of 0 is a
    gap: unknown, not zero. exposure in (0, 1] scales what is expected. total (None: not known; NaN: not in this bin)
    counts all mentions, and lets a wave of praise explain the negatives that a classifier makes of it.

    Returns the new state (the given one is not changed), verdicts in order of time and brand, and scores
    [brands, bins]: the evidence in nats less the brand's learnt caution; at `threshold(settings)` a brand is paged
    unless an incident is open or it has been known for less than two days. The same bits come out bin by bin, in
    blocks and after to_bytes / from_bytes.

    ValueError: shapes that do not fit, counts that are negative or infinite, an exposure outside 0..1, bins that the
    state has seen already or that are off a brand's grid.
    """
    start = np.ascontiguousarray(start, np.int64)
    negative, exposure = _floats(negative), _floats(exposure)
    totals = np.empty((0, 0)) if total is None else _floats(total)
    _check(state, start, negative, totals, exposure)
    brands = state.brands.copy()
    scores = np.zeros(negative.shape)
    limit = threshold(settings)
    at = np.zeros(2, np.int64)
    found = []
    while at[0] < len(brands):
        events = np.zeros(256, EVENT)
        found.append(events[: _run(brands, start, negative, totals, exposure, limit, scores, events, at)])
    return State(brands), _verdicts(found, limit), scores


def _floats(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.ascontiguousarray(values, np.float64)


def _check(
    state: State,
    start: NDArray[np.int64],
    negative: NDArray[np.float64],
    total: NDArray[np.float64],
    exposure: NDArray[np.float64],
) -> None:
    if negative.ndim != 2 or start.shape != (len(state),) or len(negative) != len(state):
        raise ValueError(f"the state has {len(state)} brands; start is {start.shape}, negative {negative.shape}")
    if exposure.shape != negative.shape or total.shape not in ((0, 0), negative.shape):
        raise ValueError(f"negative is {negative.shape}, but exposure {exposure.shape} and total {total.shape}")
    for name, counts in (("negative", negative), ("total", total)):
        if (counts < 0).any() or np.isinf(counts).any():
            raise ValueError(f"{name} has counts below zero or infinite")
    if (exposure < 0).any() or (exposure > 1).any():
        raise ValueError("exposure must lie between 0 and 1")
    known = state.brands["next"]
    seen = (known >= 0) & ((start < known) | ((start - known) % BIN_SECONDS != 0))
    if seen.any():
        brand = int(np.argmax(seen))
        raise ValueError(
            f"brand {brand}: the next bin starts at {known[brand]} s or whole bins later, the given one at {start[brand]} s"
        )


def _verdicts(found: list[NDArray[Any]], limit: float) -> list[Verdict]:
    if not found:
        return []
    events = np.concatenate(found)
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
    counts = f"{v.observed} negative mentions in {lasted} since {since} UTC, {v.ratio:.1f} times the usual {v.expected:.3g}"
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
