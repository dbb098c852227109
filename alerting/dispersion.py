"""Overdispersion phi (variance / mean) of a brand's counts, from two sides, and the account of silence.

Where events are common, differences of adjacent bins give phi whatever slow error the baseline has. Where they are rare,
differences say little, and the negative-binomial likelihood over a grid of phi is used. scipy's form of the
distribution is nbinom(n=mu/(phi-1), p=1/phi).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alerting.brand_state import DISPERSIONS, compiled
from alerting.special import log_rising

PHI = np.array([1.03, 1.15, 1.35, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.5, 9.0, 13.0, 20.0])
LOG_PHI = np.log(PHI)
LOG_MORE = np.log1p(-1.0 / PHI)
PRIOR = -0.5 * ((LOG_PHI - 0.7) / 0.8) ** 2
FORGET = math.exp(-1.0 / (42 * 288))
RARE = 6.0  # expected counts per bin up to which the likelihood is used
PAIR_PRIOR = 20.0
LOG_DOUBT = math.log(4000.0)


@compiled
def learn_dispersion(s: Any, count: float, expected: float) -> None:
    """count: already clipped."""
    excess = count - expected
    if not math.isnan(s.last_excess):
        s.pair_moment = FORGET * s.pair_moment + (excess - s.last_excess) ** 2
        s.pair_weight = FORGET * s.pair_weight + expected + s.last_expected
    s.last_excess = excess
    s.last_expected = expected
    if expected < RARE:
        for i in range(DISPERSIONS):
            r = expected / (PHI[i] - 1.0)
            gain = -r * LOG_PHI[i]
            if count > 0.0:
                gain += log_rising(r, count) + count * LOG_MORE[i]
            s.likelihood[i] = FORGET * s.likelihood[i] + gain


@compiled
def refresh_dispersion(s: Any) -> None:
    """Blends both estimates by the level: rare events trust the likelihood, common ones the differences."""
    best = -1e300
    for i in range(DISPERSIONS):
        best = max(best, s.likelihood[i] + PRIOR[i])
    weight, log_phi = 0.0, 0.0
    for i in range(DISPERSIONS):
        p = math.exp(s.likelihood[i] + PRIOR[i] - best)
        weight += p
        log_phi += p * LOG_PHI[i]
    pairs = math.log((s.pair_moment + 2.0 * PAIR_PRIOR) / (s.pair_weight + PAIR_PRIOR))
    u = 1.0 / (1.0 + (s.level / 1.5) ** 2)
    s.dispersion = max(1.02, math.exp(u * log_phi / weight + (1.0 - u) * pairs))


@compiled
def silence_doubt(s: Any) -> float:
    """How many nats the present run of zeros is less likely than usual: -ln P(no event | usual)."""
    return float(s.silence * math.log(s.dispersion) / (s.dispersion - 1.0))


@compiled
def settle_silence(s: Any, count: float, expected: float) -> float:
    """Returns the count with what an outage still owed taken off (a backlog is not news); never below expected.

    A run of zeros that is too improbable to be silence was an outage with probability p = logistic(doubt - ln 4000);
    what it kept back may come at once.
    """
    s.owed *= 0.85
    if count <= 0.0:
        s.silence += expected
        return count
    if s.silence > 0.0:
        p = 1.0 / (1.0 + math.exp(LOG_DOUBT - silence_doubt(s)))
        kept = s.silence
        s.owed = max(s.owed, p * (kept + 2.0 * math.sqrt(s.dispersion * kept + 0.04 * kept * kept)))
        s.silence = 0.0
    repaid = min(s.owed, max(0.0, count - expected))
    s.owed -= repaid
    return float(count - repaid)
