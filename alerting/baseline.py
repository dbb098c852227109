"""What is usual now for a brand: level x hour-of-week profile, how sure that is, and how the rate itself wanders.

Counts of a bin are taken to have mean mu and variance phi mu; phi is estimated in dispersion.py. All functions work on
one brand's record (brand_state.py) and are compiled.
"""

from __future__ import annotations

import math
from typing import Any

from alerting.brand_state import HOURS, WINDOWS, compiled

DAY = 288  # bins
MONTH = 30 * DAY
LEVEL_SHORTEST, LEVEL_LONGEST, LEVEL_EVENTS = 2.0 * DAY, 14.0 * DAY, 150.0
PROFILE_MEMORY_HOURS = 42.0 * 24
SETTLED = 14 * DAY  # bins after which the baseline defends itself against what is unusual
# Prior standard deviations (relative) of: an hour of the day; weekend against weekday; one of the 168 cells.
HOUR_SD, SMOOTH_SD, WEEKEND_SD, CELL_SD = 0.7, 0.25, 0.4, 0.12
SMOOTH = (1.0, 0.8007374029168081, 0.41111229050718745, 0.1353352832366127)  # Gaussian kernel over hours, sd 1.5
NOISE_WINDOWS = (1, 3, 12, 72)
NOISE_MEMORY = 28.0 * DAY
NOISE_PRIOR, NOISE_PRIOR_WINDOWS = 0.02, 5.0  # relative variance, known to about itself
OVERSTATED = 0.6


@compiled
def hour_of_week(time: int) -> int:
    """0 = Monday 00:00-01:00 UTC. The epoch was a Thursday."""
    return (time // 3600 + 72) % HOURS


@compiled
def seasonal(s: Any, start: int) -> float:
    """The profile at the middle of the bin, interpolated between the middles of the hours."""
    middle = start + 150 - 1800
    part = (middle % 3600) / 3600.0
    cell = hour_of_week(middle)
    after = cell + 1 if cell + 1 < HOURS else 0
    return float(s.profile[cell] * (1.0 - part) + s.profile[after] * part)


@compiled
def uncertainty(s: Any, cell: int) -> float:
    """Relative variance of the baseline's own estimate for an hour of the week.

    The sum overstates it (cells lean on each other, the level on all of them): measured errors are .6 of it.
    """
    return float(OVERSTATED * (s.level_variance + s.profile_variance[cell]))


@compiled
def spread(s: Any, expected: float, cell: int) -> float:
    """Standard deviation of a usual bin."""
    return math.sqrt(s.dispersion * expected + (uncertainty(s, cell) + s.noise[0]) * expected * expected)


@compiled
def learn_level(s: Any, count: float, exposure: float, shape: float) -> None:
    """Level = decayed counts / decayed exposure x profile; the memory is longer where events are rare."""
    memory = LEVEL_EVENTS * s.dispersion / max(s.level, 1e-9)
    keep = math.exp(-1.0 / min(LEVEL_LONGEST, max(LEVEL_SHORTEST, memory)))
    usual = exposure * shape
    s.level_count = keep * s.level_count + count
    s.level_exposure = keep * s.level_exposure + usual
    s.level_square = keep * keep * s.level_square + usual
    s.level = (s.level_count + 0.02) / (s.level_exposure + 1.0)
    s.level_variance = s.dispersion * s.level_square / (s.level * s.level_exposure**2 + 1e-12)
    s.level_variance = min(1.0, s.level_variance + 2 * s.noise[3] * 72 / (s.level_exposure + 72.0))


@compiled
def forget_level(s: Any) -> None:
    """A bin of which nothing is known: the level is held, and trusted less the longer this lasts."""
    keep = math.exp(-1.0 / LEVEL_LONGEST)
    s.level_count *= keep
    s.level_exposure *= keep
    s.level_square *= keep * keep
    s.last_excess = math.nan


@compiled
def learn_profile(s: Any, count: float, exposure: float, cell: int) -> None:
    """Sums of a cell: counts, and what a week without a shape would have given."""
    s.cell_count[cell] += count
    s.cell_expected[cell] += exposure * s.level
    s.cell_bins[cell] += 1.0


@compiled
def certainty(s: Any, expected: float, bins: float) -> float:
    """1 / relative variance of a mean over a cell: counting noise and, per hour, the wandering of the rate."""
    if expected <= 0.0:
        return 0.0
    return 1.0 / float(s.dispersion / expected + (s.noise[2] + 0.002) * 12.0 / bins)


@compiled
def refresh_profile(s: Any) -> None:
    """Shrinks 168 cells towards weekday/weekend x hour, that towards hour of the day, that towards its neighbours.

    Each step is the posterior mean of a normal with the prior standard deviations above; run once an hour.
    """
    keep = math.exp(-1.0 / PROFILE_MEMORY_HOURS)
    count, expected, bins = s.cell_count, s.cell_expected, s.cell_bins
    for cell in range(HOURS):
        count[cell] *= keep
        expected[cell] *= keep
        bins[cell] *= keep
    hour_count, hour_expected, hour_bins = [0.0] * 24, [0.0] * 24, [0.0] * 24
    for cell in range(HOURS):
        hour_count[cell % 24] += count[cell]
        hour_expected[cell % 24] += expected[cell]
        hour_bins[cell % 24] += bins[cell]
    hour, hour_variance = [1.0] * 24, [HOUR_SD**2] * 24
    for h in range(24):
        near_count, near_expected, near_bins = 0.0, 0.0, 0.0
        for step in range(-3, 4):
            j, weight = (h + step) % 24, SMOOTH[abs(step)]
            near_count += weight * hour_count[j]
            near_expected += weight * hour_expected[j]
            near_bins += weight * hour_bins[j]
        sure = certainty(s, near_expected, near_bins)
        variance = 1.0 / (sure + HOUR_SD**-2)
        smooth = variance * (sure * near_count / max(near_expected, 1e-9) + HOUR_SD**-2)
        prior = 1.0 / (SMOOTH_SD**2 + variance)
        sure = certainty(s, hour_expected[h], hour_bins[h])
        hour_variance[h] = 1.0 / (sure + prior)
        hour[h] = hour_variance[h] * (sure * hour_count[h] / max(hour_expected[h], 1e-9) + prior * smooth)
    refresh_cells(s, hour, hour_variance)


@compiled
def refresh_cells(s: Any, hour: list[float], hour_variance: list[float]) -> None:
    """The weekend's factor, then each cell; the profile's mean over the week is 1."""
    factor, factor_variance = [1.0, 1.0], [WEEKEND_SD**2, WEEKEND_SD**2]
    for weekend in range(2):
        first, last = (120, HOURS) if weekend else (0, 120)
        group_count, group_expected, group_bins = 0.0, 0.0, 0.0
        for cell in range(first, last):
            group_count += s.cell_count[cell]
            group_expected += s.cell_expected[cell] * hour[cell % 24]
            group_bins += s.cell_bins[cell]
        sure = certainty(s, group_expected, group_bins)
        factor_variance[weekend] = 1.0 / (sure + WEEKEND_SD**-2)
        prior_part = WEEKEND_SD**-2
        factor[weekend] = factor_variance[weekend] * (sure * group_count / max(group_expected, 1e-9) + prior_part)
    total = 0.0
    for cell in range(HOURS):
        weekend = 1 if cell >= 120 else 0
        expected = factor[weekend] * hour[cell % 24]
        prior = 1.0 / (CELL_SD**2 + factor_variance[weekend] + hour_variance[cell % 24])
        # relative to the group's shape, so that busy and quiet hours shrink alike
        sure = certainty(s, s.cell_expected[cell] * expected, s.cell_bins[cell])
        own = s.cell_count[cell] / max(s.cell_expected[cell] * expected, 1e-9)
        s.profile_variance[cell] = 1.0 / (sure + prior)
        s.profile[cell] = expected * max(0.05, s.profile_variance[cell] * (sure * own + prior))
        total += s.profile[cell]
    for cell in range(HOURS):
        s.profile[cell] *= HOURS / total


@compiled
def learn_noise(s: Any, count: float, expected: float) -> None:
    """Relative variance of windowed sums beyond phi x expected, by moments: (sum - mean)^2 - phi mean over mean^2.

    A window tells the variance with a variance of 2 (phi / mean + s2)^2, so where events are rare the prior weighs as
    many windows as it takes to know s2 to about its own size.
    """
    for w in range(WINDOWS):
        s.window_bins[w] += 1
        s.window_excess[w] += count - expected
        s.window_expected[w] += expected
        if s.window_bins[w] == NOISE_WINDOWS[w]:
            keep = math.exp(-NOISE_WINDOWS[w] / NOISE_MEMORY)
            mean = s.window_expected[w]
            s.noise_moment[w] = keep * s.noise_moment[w] + s.window_excess[w] ** 2 - s.dispersion * mean
            s.noise_weight[w] = keep * s.noise_weight[w] + mean * mean
            windows = 2.0 * ((s.dispersion / max(mean, 1e-9) + NOISE_PRIOR) / NOISE_PRIOR) ** 2
            prior = (NOISE_PRIOR_WINDOWS + windows) * mean * mean
            s.noise[w] = max(0.0, (s.noise_moment[w] + prior * NOISE_PRIOR) / (s.noise_weight[w] + prior + 1e-12))
            s.noise_guess[w] = prior / (s.noise_weight[w] + prior + 1e-12)
            s.window_bins[w] = 0
            s.window_excess[w] = 0.0
            s.window_expected[w] = 0.0
