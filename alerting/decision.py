"""When evidence becomes a page, when an incident is over, and what is outstanding without being a crisis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alerting.baseline import DAY, MONTH
from alerting.brand_state import RING, Bin, compiled
from alerting.bursts import count_short_page
from alerting.evidence import SIZE, additive_ratio, clear_evidence, leading, temper, total_evidence, weighted_size
from alerting.verdict import BURST, BURSTING, CLOSE, FADED, NEW_LEVEL, PAGE, SURGE, SUSTAINED

NO_PAGES = 2 * DAY  # known bins before the first page or burst
SURGE_SIZE = 5.0  # from this size on a page is called a surge
EXCURSION_HIGH, EXCURSION_LOW, EXCURSION_MEMORY = 4.5, 2.5, 42.0 * DAY
EXCURSIONS_FROM = 10 * DAY
USUAL_EXCURSIONS = 12.0  # a month
CLOSE_AT, CLOSE_DRIFT, RECENT_MEMORY = 4.0, 0.03, 72.0
ACCEPTED = 3 * DAY  # what lasts so long is usual
BURST_WINDOWS = np.array([1, 3, 12, 36])
BURST_SD = np.array([15.0, 10.0, 5.0, 3.6])
BURST_SD_MEMORY = 14.0 * DAY
BURST_LEAST = 5.0  # mentions; fewer are no burst, whatever is usual


@compiled
def learnt_caution(s: Any) -> float:
    """Nats to add to the threshold: how often evidence rose here for nothing, against twelve times a month."""
    caution = math.log((s.excursions + 6.0) / (USUAL_EXCURSIONS * s.excursion_months + 6.0))
    return min(1.0, max(-0.4, caution))


@compiled
def note_excursion(s: Any, score: float) -> None:
    """Counts how often the evidence rose above 4.5 nats (and fell below 2.5 before) without a page."""
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
def decide(s: Any, e: Any, b: Bin, limit: float) -> tuple[bool, float]:
    """After a bin was weighed: fills `e` and returns True when there is something to say, and the score."""
    evidence = total_evidence(s)
    score = evidence - learnt_caution(s)
    window = outstanding(s, b)
    if s.open > 0:
        said = close(s, e, b)
    elif s.seen >= NO_PAGES and score >= limit:
        said = page(s, e, b)
    else:
        said = s.seen >= NO_PAGES and burst(s, e, window)
    e.end = s.next
    e.score = score
    note_excursion(s, evidence)
    return said, score


@compiled
def page(s: Any, e: Any, b: Bin) -> bool:
    """Opens an incident."""
    lead = leading(s)
    e.kind, e.rule = PAGE, SURGE if SIZE[lead] >= SURGE_SIZE else SUSTAINED
    e.since, e.observed, e.expected = s.since[lead], s.since_observed[lead], s.since_expected[lead]
    if s.armed == 0:  # this excursion was not for nothing
        s.excursions = max(0.0, s.excursions - 1.0)
    s.armed = 1
    s.open, s.open_size = 1, SIZE[lead]
    s.open_since, s.open_observed, s.open_expected = e.since, e.observed, e.expected
    s.recent_expected = max(e.expected, 6.0 * b.expected)
    s.recent_observed = weighted_size(s) * s.recent_expected
    s.closing = 0.0
    s.calm_since = s.next
    return True


@compiled
def close(s: Any, e: Any, b: Bin) -> bool:
    """Moves an open incident by one bin, and closes it when it has faded or has lasted for three days."""
    follow(s, b)
    rule = FADED if s.closing >= CLOSE_AT else NEW_LEVEL
    if rule == NEW_LEVEL and s.open <= ACCEPTED:
        return False
    e.kind, e.rule = CLOSE, rule
    e.since, e.observed, e.expected = s.open_since, s.open_observed, s.open_expected
    if rule == NEW_LEVEL:
        accept_level(s)
    count_short_page(s)
    s.open = 0
    clear_evidence(s)
    return True


@compiled
def follow(s: Any, b: Bin) -> None:
    """Evidence that the crisis is over: against a third of its size as the last six hours show it."""
    s.open += 1
    s.open_observed += b.observed
    s.open_expected += b.expected
    keep = math.exp(-1.0 / RECENT_MEMORY)
    s.recent_observed = keep * s.recent_observed + b.fresh
    s.recent_expected = keep * s.recent_expected + b.expected
    size = s.recent_observed / max(s.recent_expected, 1e-9)
    close_size = max(1.5, 1.0 + 0.35 * (size - 1.0))
    gain = temper(s, b.expected, b.doubt, 2) * additive_ratio(b.fresh, b.expected, s.dispersion, close_size)
    s.closing = max(0.0, s.closing + CLOSE_DRIFT - gain)
    if s.closing <= 0.0:
        s.calm_since = s.next


@compiled
def accept_level(s: Any) -> None:
    """What lasted for three days is usual from now on."""
    factor = s.recent_observed / max(s.recent_expected, 1e-9)
    s.level *= factor
    s.level_exposure = min(s.level_exposure, 1.0 * DAY)
    s.level_square = min(s.level_square, s.level_exposure)
    s.level_count = s.level * (s.level_exposure + 1.0)


@compiled
def outstanding(s: Any, b: Bin) -> int:
    """Index of the window whose excess stands out from its own 14 days, bursts included, or -1; learns those days."""
    s.ring[s.ring_at] = b.observed - b.expected
    s.ring_expected[s.ring_at] = b.expected
    s.ring_at = (s.ring_at + 1) % RING
    s.burst_quiet = max(0, s.burst_quiet - 1)
    keep = math.exp(-1.0 / BURST_SD_MEMORY)
    found, window, at, excess, observed = -1, 0, s.ring_at, 0.0, 0.0
    for back in range(RING):
        at = at - 1 if at > 0 else RING - 1
        excess += s.ring[at]
        observed += s.ring[at] + s.ring_expected[at]
        if back + 1 == BURST_WINDOWS[window]:
            sd = math.sqrt(s.excess_moment[window] / max(s.excess_weight, 1.0))
            if found < 0 and excess > BURST_SD[window] * sd and observed >= BURST_LEAST:
                found = window
            s.excess_moment[window] = keep * s.excess_moment[window] + excess * excess
            window += 1
    s.excess_weight = keep * s.excess_weight + 1.0
    return found


@compiled
def burst(s: Any, e: Any, window: int) -> bool:
    """Something outstanding that is no crisis yet; then quiet for three hours."""
    if window < 0 or s.burst_quiet > 0:
        return False
    s.burst_quiet = RING
    e.kind, e.rule = BURST, BURSTING
    e.observed, e.expected, at = 0.0, 0.0, s.ring_at
    for _ in range(BURST_WINDOWS[window]):
        at = at - 1 if at > 0 else RING - 1
        e.observed += s.ring[at] + s.ring_expected[at]
        e.expected += s.ring_expected[at]
    e.since = s.next - BURST_WINDOWS[window] * 300
    return True
