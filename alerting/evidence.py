"""What a bin says for a crisis: likelihood ratios of sizes, tempered, and the bank of crises.

A crisis of size m multiplies the rate by m and stays; a burst (bursts.py) begins high and is gone after a while. Both
explain a high count. The bank divides a crisis's likelihood by what the usual and the bursts together make of the same
bins, so that a burst cancels out, and no cap is needed that would make large crises slow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alerting.brand_state import CLASSES, SIZES, Bin, compiled
from alerting.bursts import EXCESS, end_bursts, move_chain, pass_time, readiness, weigh_chain
from alerting.special import log_rising

SIZE = np.array([1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 22.0, 45.0])
WEIGHT = np.array([0.5, 1.5, 1.5, 0.8, 0.6, 0.6, 0.4, 0.4, 0.3]) / 6.6
BURST_SIZE = 1.0 + EXCESS
# Sizes fall into classes: small crises take hours to show, in which the rate wanders; large ones show at once.
CLASS_OF = np.array([0, 0, 1, 2, 2, 2, 2, 2, 2])
CLASS_WINDOW = np.array([72.0, 12.0, 3.0])  # bins
CLASS_NOISE = np.array([3, 2, 1])  # index of the noise window that belongs to a class
MISFIT = 0.03  # variance that no estimate covers
FAST = 3  # index of the first size of the fast class
DRIFT = 0.15  # chance in a bin that a large crisis moves to the next size
FORGET = 1.0 - 1.0 / 144.0
LARGEST = math.exp(25.0)
MOST = 60.0  # nats that a bin may say; guards exp()
LEAST = 1e-4  # evidence below this is all the same


@compiled
def additive_ratio(count: float, expected: float, dispersion: float, size: float) -> float:
    """ln of the likelihood of `count` if the rate is size x expected over that if it is expected.

    Negative binomial whose shape grows with the mean, so that variance / mean stays phi (a sum of m independent usual
    flows): r = mu/(phi-1), ln G(y+mr) - ln G(mr) - ln G(y+r) + ln G(r) - (m-1) r ln phi.
    """
    r = expected / (dispersion - 1.0)
    return log_rising(size * r, count) - log_rising(r, count) - (size - 1.0) * r * math.log(dispersion)


@compiled
def additive_ratios(count: float, expected: float, dispersion: float, sizes: Any) -> Any:
    """The same of many sizes."""
    r, log_dispersion = expected / (dispersion - 1.0), math.log(dispersion)
    usual = log_rising(r, count)
    ratios = np.empty(len(sizes))
    for i in range(len(sizes)):
        ratios[i] = log_rising(sizes[i] * r, count) - usual - (sizes[i] - 1.0) * r * log_dispersion
    return ratios


@compiled
def temper(s: Any, expected: float, doubt: float, group: int) -> float:
    """eta <= 1: evidence counts for less where the rate itself wanders or is poorly known over the class's window."""
    w = CLASS_NOISE[group]
    noise = (s.noise[w] + doubt * s.noise_guess[w]) * CLASS_WINDOW[group] + MISFIT
    return float(s.dispersion / (s.dispersion + expected * noise))


@compiled
def weigh(s: Any, b: Bin) -> None:
    """Moves chains and bank by one bin: R <- (R forget + 1) exp(l_m - ln Z)."""
    bursts = additive_ratios(b.fresh, b.expected, s.dispersion, BURST_SIZE)
    crises = additive_ratios(b.fresh, b.expected, s.dispersion, SIZE)
    entry = readiness(s)
    eta, no_crisis = np.empty(CLASSES), np.empty(CLASSES)
    for group in range(CLASSES):
        eta[group] = temper(s, b.expected, b.doubt, group)
        move_chain(s.chain[group], entry)
        no_crisis[group] = weigh_chain(s.chain[group], bursts, eta[group])
    drift(s)
    for i in range(SIZES):
        group = CLASS_OF[i]
        gain = eta[group] * crises[i] - no_crisis[group]
        gain = min(MOST, gain)
        s.ratio[i] = min(LARGEST, (s.ratio[i] * FORGET + 1.0) * math.exp(gain))
        track_since(s, i, gain, b)


@compiled
def drift(s: Any) -> None:
    """A large crisis does not keep one size: some of its mass moves to the neighbouring sizes of the fast class."""
    before = 0.0
    for i in range(FAST, SIZES):
        mass = WEIGHT[i] * s.ratio[i]
        after = WEIGHT[i + 1] * s.ratio[i + 1] if i + 1 < SIZES else 0.0
        sides = (1.0 if i > FAST else 0.0) + (1.0 if i + 1 < SIZES else 0.0)
        s.ratio[i] = (mass * (1.0 - DRIFT * sides) + DRIFT * (before + after)) / WEIGHT[i]
        before = mass


@compiled
def track_since(s: Any, i: int, gain: float, b: Bin) -> None:
    """Where the evidence for a size began: the last bin at which its CUSUM left zero."""
    if s.since_log[i] <= 0.0:
        s.since[i] = b.start
        s.since_observed[i] = 0.0
        s.since_expected[i] = 0.0
    s.since_log[i] = min(25.0, max(0.0, s.since_log[i] + gain))
    s.since_observed[i] += b.observed
    s.since_expected[i] += b.expected


@compiled
def forget_evidence(s: Any) -> None:
    """A bin of which nothing is known."""
    for i in range(SIZES):
        s.ratio[i] *= FORGET
    pass_time(s)


@compiled
def clear_evidence(s: Any) -> None:
    """After an incident: what follows is judged afresh."""
    for i in range(SIZES):
        s.ratio[i] = 0.0
        s.since_log[i] = 0.0
    end_bursts(s)


@compiled
def total_evidence(s: Any) -> float:
    """ln of the weighted sum over the sizes, in nats."""
    total = 0.0
    for i in range(SIZES):
        total += WEIGHT[i] * s.ratio[i]
    return math.log(max(total, LEAST))


@compiled
def leading(s: Any) -> int:
    """The size that carries most of the evidence."""
    best, found = -1.0, 0
    for i in range(SIZES):
        if WEIGHT[i] * s.ratio[i] > best:
            best, found = WEIGHT[i] * s.ratio[i], i
    return found


@compiled
def weighted_size(s: Any) -> float:
    """Size of the crisis: mean of the hypotheses, weighted by their evidence."""
    total, size = 1e-12, 1.5e-12
    for i in range(SIZES):
        total += s.ratio[i]
        size += s.ratio[i] * SIZE[i]
    return size / total
