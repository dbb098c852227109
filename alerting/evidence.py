"""What a bin says for a crisis: likelihood ratios of sizes, bursts as a rival explanation, and the bank of crises.

A crisis of size m multiplies the rate by m and stays; a burst begins high and is gone after a few bins. Both explain
a high count. The bank divides a crisis's likelihood by the best that no-crisis (usual, or a burst) makes of the same
bins, so that a burst cancels out, and no cap is needed that would make large crises slow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alerting.baseline import MONTH
from alerting.brand_state import BURST_LEVELS, BURST_SPEEDS, BURST_STATES, CLASSES, SIZES, compiled
from alerting.special import log_gamma, log_rising

SIZE = np.array([1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0])
CLASS_OF = np.array([0, 0, 1, 2, 2, 2, 2])
WEIGHT = np.array([0.5, 1.5, 1.5, 1.0, 1.0, 0.7, 0.3]) / 6.5
CLASS_WINDOW = np.array([72.0, 12.0, 3.0])
CLASS_NOISE = np.array([3, 2, 1])  # index of the noise window that belongs to a class
MISFIT = 0.03  # variance that no estimate covers

EXCESS = np.array([0.63, 1.0, 1.6, 2.5, 4.0, 6.3, 10.0, 16.0, 25.0, 40.0])
STAY = np.array([0.08])
DOWN_ONE = np.array([0.72])
DOWN_TWO = np.array([0.20])
ENTRY_LEVELS = 7  # a burst begins in one of the highest levels
BURST_PRIOR, BURST_MEMORY = 0.5, 56.0 * 288
BURST_RATE = 20.0

FORGET = 1.0 - 1.0 / 144.0
LARGEST = math.exp(25.0)
MOST = 60.0  # nats a bin may say; guards exp()


@compiled
def additive_ratio(count: float, expected: float, dispersion: float, size: float) -> float:
    """ln of the likelihood of `count` if the rate is size x expected over that if it is expected.

    Negative binomial whose shape grows with the mean, so that variance / mean stays phi (a sum of m independent usual
    flows): r = mu/(phi-1), ln G(y+mr) - ln G(mr) - ln G(y+r) + ln G(r) - (m-1) r ln phi.
    """
    r = expected / (dispersion - 1.0)
    return log_rising(size * r, count) - log_rising(r, count) - (size - 1.0) * r * math.log(dispersion)


@compiled
def temper(s: Any, expected: float, doubt: float, group: int) -> float:
    """eta <= 1: evidence counts for less where the rate itself wanders or is poorly known over the class's window."""
    noise = (doubt + s.noise[CLASS_NOISE[group]]) * CLASS_WINDOW[group] + MISFIT
    return s.dispersion / (s.dispersion + expected * noise)


@compiled
def move_chain(chain: Any, entry: float) -> None:
    """One bin of a burst's life: from null it may begin high; it stays, falls one level, or two, and is over."""
    null = chain[0]
    ended = 0.0
    for speed in range(BURST_SPEEDS):
        base = 1 + speed * BURST_LEVELS
        stay, one, two = STAY[speed], DOWN_ONE[speed], DOWN_TWO[speed]
        ended += chain[base] * (one + two) + chain[base + 1] * two
        for level in range(BURST_LEVELS):
            mass = stay * chain[base + level]
            if level + 1 < BURST_LEVELS:
                mass += one * chain[base + level + 1]
            if level + 2 < BURST_LEVELS:
                mass += two * chain[base + level + 2]
            if level >= BURST_LEVELS - ENTRY_LEVELS:
                mass += entry * null / ENTRY_LEVELS
            chain[base + level] = mass
    chain[0] = null * (1.0 - entry) + ended


@compiled
def weigh_chain(chain: Any, ratios: Any, eta: float) -> float:
    """Bayes: weights states by the bin's likelihood; returns ln of its sum, the bin's likelihood without a crisis."""
    best = 0.0
    for level in range(BURST_LEVELS):
        best = max(best, eta * ratios[level])
    total = chain[0] * math.exp(-best)
    chain[0] = total
    for level in range(BURST_LEVELS):
        likelihood = math.exp(eta * ratios[level] - best)
        for speed in range(BURST_SPEEDS):
            state = 1 + speed * BURST_LEVELS + level
            chain[state] *= likelihood
            total += chain[state]
    for state in range(BURST_STATES):
        chain[state] /= total
    return best + math.log(total)


@compiled
def burst_rate(s: Any) -> float:
    """Learnt probability that a burst begins in a bin."""
    return BURST_RATE * (0.5 + s.burst_count) / (0.5 + s.burst_months) / MONTH


@compiled
def count_bursts(s: Any, paging: bool) -> None:
    """A burst: the fast chain leaves null and comes back without a page."""
    keep = math.exp(-1.0 / BURST_MEMORY)
    s.burst_count *= keep
    s.burst_months = keep * s.burst_months + 1.0 / MONTH
    null = s.chain[2, 0]
    if paging:
        s.in_burst = 0
    elif s.in_burst == 0 and null < 0.1:
        s.in_burst = 1
    elif s.in_burst == 1 and null > 0.9:
        s.in_burst = 0
        s.burst_count += 1.0


@compiled
def weigh(s: Any, count: float, observed: float, expected: float, doubt: float, start: int) -> None:
    """Moves chains and bank by one bin. count: what the silence account left of `observed`."""
    ratios = np.empty(BURST_LEVELS)
    for level in range(BURST_LEVELS):
        ratios[level] = additive_ratio(count, expected, s.dispersion, 1.0 + EXCESS[level])
    entry = min(0.2, burst_rate(s))
    no_crisis, eta = np.empty(CLASSES), np.empty(CLASSES)
    for group in range(CLASSES):
        eta[group] = temper(s, expected, doubt, group)
        move_chain(s.chain[group], entry)
        no_crisis[group] = weigh_chain(s.chain[group], ratios, eta[group])
    for i in range(SIZES):
        group = CLASS_OF[i]
        gain = eta[group] * additive_ratio(count, expected, s.dispersion, SIZE[i]) - no_crisis[group]
        gain = min(MOST, gain)
        s.ratio[i] = min(LARGEST, (s.ratio[i] * FORGET + 1.0) * math.exp(gain))
        track_since(s, i, gain, observed, expected, start)


@compiled
def track_since(s: Any, i: int, gain: float, observed: float, expected: float, start: int) -> None:
    """Where the evidence for a size began: the last bin at which its CUSUM left zero."""
    if s.since_log[i] <= 0.0:
        s.since[i] = start
        s.since_observed[i] = 0.0
        s.since_expected[i] = 0.0
    s.since_log[i] = min(25.0, max(0.0, s.since_log[i] + gain))
    s.since_observed[i] += observed
    s.since_expected[i] += expected


@compiled
def forget_evidence(s: Any) -> None:
    """A bin of which nothing is known."""
    for i in range(SIZES):
        s.ratio[i] *= FORGET
    entry = min(0.2, burst_rate(s))
    for group in range(CLASSES):
        move_chain(s.chain[group], entry)


@compiled
def clear_evidence(s: Any) -> None:
    for i in range(SIZES):
        s.ratio[i] = 0.0
        s.since_log[i] = 0.0
    for group in range(CLASSES):
        s.chain[group, :] = 0.0
        s.chain[group, 0] = 1.0
    s.in_burst = 0


@compiled
def total_evidence(s: Any) -> float:
    total = 0.0
    for i in range(SIZES):
        total += WEIGHT[i] * s.ratio[i]
    return math.log(max(total, 1e-4))


@compiled
def leading(s: Any) -> int:
    """The size that carries most of the evidence."""
    best, found = -1.0, 0
    for i in range(SIZES):
        if WEIGHT[i] * s.ratio[i] > best:
            best, found = WEIGHT[i] * s.ratio[i], i
    return found
