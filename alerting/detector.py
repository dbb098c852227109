"""Counts of negative mentions per brand -> page, burst, close. Pure: no clock, no I/O; only looks back.

A bin goes through the steps of `judge`: what is usual (baseline.py), how it scatters and what silence owes
(dispersion.py), what the count says for a crisis (evidence.py) rather than a burst (bursts.py), whether that pages, and
when it is over (decision.py), in which words (verdict.py).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from alerting.baseline import (
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
from alerting.brand_state import Bin, State, compiled
from alerting.bursts import count_bursts
from alerting.decision import NO_PAGES, decide, learnt_caution
from alerting.dispersion import LOG_DOUBT, learn_dispersion, refresh_dispersion, settle_silence, silence_doubt
from alerting.evidence import forget_evidence, total_evidence, weigh
from alerting.verdict import EVENT, Settings, Verdict, threshold, verdicts

__all__ = ["BIN_SECONDS", "Settings", "State", "Verdict", "threshold", "update"]

BIN_SECONDS = 300
MISTAKEN = 0.06  # share of mentions that are not negative and are called so, when nothing better is known
MISTAKEN_DOUBT = 0.5  # relative standard deviation of that
OTHERS_MEMORY = 2016.0  # bins: a week
EVENTS_AT_ONCE = 256


class Rows(NamedTuple):
    """The arrays that `update` was given: [brands] and [brands, bins]; total is [0, 0] when not known."""

    start: Any
    negative: Any
    total: Any
    exposure: Any


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
def learn(s: Any, b: Bin) -> None:
    """Teaches the baseline what this bin shows to be usual; from day 14 on not what is out of the ordinary."""
    settled = s.seen >= SETTLED
    if settled and (s.open > 0 or silence_doubt(s) > LOG_DOUBT):
        s.last_excess = math.nan
        return
    cell = hour_of_week(b.start + 150)
    sd = spread(s, b.expected, cell)
    clipped = min(b.observed, b.expected + 4.0 * sd + 3.0 * s.dispersion) if settled else b.observed
    usual = max(0.0, clipped - b.extra)
    learn_dispersion(s, min(b.observed, b.expected + 4.0 * sd + 6.0 * s.dispersion), b.expected)
    learn_noise(s, usual, b.expected - b.extra)
    learn_level(s, usual, b.exposure, b.shape)
    learn_profile(s, usual, b.exposure, cell)


@compiled
def refresh(s: Any, start: int) -> None:
    """Once an hour: dispersion and profile from what was learnt."""
    cell = hour_of_week(start + 150)
    if cell != s.hour:
        refresh_dispersion(s)
        refresh_profile(s)
        s.hour = cell


@compiled
def judge(s: Any, e: Any, rows: Rows, brand: int, t: int, start: int, limit: float) -> tuple[bool, float]:
    """One known bin."""
    refresh(s, start)
    observed, exposure, shape = rows.negative[brand, t], rows.exposure[brand, t], seasonal(s, start)
    usual = max(1e-6, s.level * shape * exposure)
    total = rows.total[brand, t] if rows.total.shape[0] > 0 else math.nan
    extra = mistaken_part(s, observed, total, usual)
    expected = usual + extra
    doubt = uncertainty(s, hour_of_week(start + 150)) + (MISTAKEN_DOUBT * extra / expected) ** 2
    fresh = settle_silence(s, observed, expected)
    b = Bin(start, observed, fresh, expected, extra, doubt, exposure, shape)
    weigh(s, b)
    s.next = start + 300
    s.seen += 1
    s.gap = 0
    said, score = decide(s, e, b, limit)
    count_bursts(s)
    learn(s, b)
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
def wait_until(s: Any, now: int) -> None:
    """Bins that were not given are gaps."""
    if s.next < 0:
        s.next = now
    while s.next < now and s.gap < MONTH:
        skip(s)
    s.gap += (now - s.next) // 300
    s.next = now


@compiled
def run(brands: Any, rows: Rows, limit: float, scores: Any, events: Any, at: Any) -> int:
    """All brands and bins; stops early when `events` is full (at = [brand, bin] says where) and returns their number."""
    found = 0
    first_bin = at[1]
    for brand in range(at[0], len(brands)):
        s = brands[brand]
        for t in range(first_bin, rows.negative.shape[1]):
            if found == len(events):
                at[0], at[1] = brand, t
                return found
            now = rows.start[brand] + 300 * t
            wait_until(s, now)
            if math.isnan(rows.negative[brand, t]) or not rows.exposure[brand, t] > 0.0:
                scores[brand, t] = skip(s)
                continue
            said, scores[brand, t] = judge(s, events[found], rows, brand, t, now, limit)
            if said:
                events[found].brand = brand
                found += 1
        first_bin = 0
    at[0], at[1] = len(brands), 0
    return found


def _source_digest() -> str:
    """Of everything that is compiled into `run`."""
    digest = hashlib.sha256()
    for name in ("brand_state", "special", "baseline", "dispersion", "bursts", "evidence", "decision", "detector"):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()


def _entry(digest: str) -> Callable[..., int]:
    """The one function whose machine code is kept on disk: compiling takes some 10 s, loading .3 s.

    numba notices changes in this file by its date and size, and none in the others. It does put the values of a
    function's closure into the key of its cache: the digest of all sources is such a value. The code is kept beside this
    file, or in the user's cache directory where that is read-only, or in NUMBA_CACHE_DIR.
    """

    def entry(brands: Any, rows: Rows, limit: float, scores: Any, events: Any, at: Any) -> int:
        if len(digest) == 0:
            return 0
        return run(brands, rows, limit, scores, events, at)

    try:
        return njit(cache=True, nogil=True)(entry)  # type: ignore[no-any-return, unused-ignore]
    except RuntimeError:  # nowhere to write to: compiled anew in each process
        return njit(nogil=True)(entry)  # type: ignore[no-any-return, unused-ignore]


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
    rows = Rows(start, negative, np.empty((0, 0)) if total is None else _floats(total), exposure)
    _check(state, rows)
    brands = state.brands.copy()
    scores = np.zeros(negative.shape)
    limit = threshold(settings)
    at = np.zeros(2, np.int64)
    found = []
    while at[0] < len(brands):
        events = np.zeros(EVENTS_AT_ONCE, EVENT)
        found.append(events[: _run(brands, rows, limit, scores, events, at)])
    return State(brands), verdicts(np.concatenate([np.zeros(0, EVENT), *found]), limit), scores


def _floats(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.ascontiguousarray(values, np.float64)


def _check(state: State, rows: Rows) -> None:
    start, negative, total, exposure = rows
    if negative.ndim != 2 or start.shape != (len(state),) or len(negative) != len(state):
        raise ValueError(f"the state has {len(state)} brands; start is {start.shape}, negative {negative.shape}")
    if exposure.shape != negative.shape or total.shape not in ((0, 0), negative.shape):
        raise ValueError(f"negative is {negative.shape}, but exposure {exposure.shape} and total {total.shape}")
    for name, counts in (("negative", negative), ("total", total)):
        if (counts < 0).any() or np.isinf(counts).any():
            raise ValueError(f"{name} has counts below zero or infinite")
    if (exposure < 0).any() or (exposure > 1).any():
        raise ValueError("exposure must lie between 0 and 1")
    if (start < 0).any():
        raise ValueError("start lies before 1970")
    known = state.brands["next"]
    seen = (known >= 0) & ((start < known) | ((start - known) % BIN_SECONDS != 0))
    if seen.any():
        brand = int(np.argmax(seen))
        raise ValueError(
            f"brand {brand}: the next bin starts at {known[brand]} s or whole bins later, the given one at {start[brand]} s"
        )
