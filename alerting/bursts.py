"""Bursts as the rival explanation of a high count: a hidden Markov chain of a burst's life.

A burst begins high and falls; families of bursts differ in how fast. Fast ones may come at any time; slow ones (their
excess halves in 2 to 12 bins) look like a crisis that has just begun, and are believed in only where a brand has had
them. Slow families leave a level in several phases, so that a level has a length of its own: staying put for long
is a crisis, not a slow burst. Their own rates are learnt from bursts that passed and from pages that were over soon.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alerting.baseline import MONTH
from alerting.brand_state import BURST_LEVELS, BURST_PHASES, BURST_SPEEDS, BURST_STATES, CLASSES, compiled

EXCESS = np.array([0.63, 1.0, 1.6, 2.5, 4.0, 6.3, 10.0, 16.0, 25.0, 40.0])  # of the levels, over the usual rate
ENTRY_LEVELS = 7  # a burst begins in one of the highest levels
# Per family: chance in a bin to stay in a phase, to leave it, to leave two. Half-lives are about 1.3, 3, 6, 12 bins.
STAY = np.array([0.08, 0.5, 0.25, 0.25])
DOWN_ONE = np.array([0.72, 0.5, 0.75, 0.75])
DOWN_TWO = np.array([0.20, 0.0, 0.0, 0.0])
PHASES = np.array(BURST_PHASES)
FIRST = 1 + BURST_LEVELS * (np.cumsum(PHASES) - PHASES)  # index of a family's lowest state; 0 is null: no burst
# Bursts are entered twenty times as readily as counted: a page must not only be likelier than a burst, but far likelier.
READINESS, MOST_READY = 20.0, 0.1
COUNT_MEMORY = 56.0 * 288
FAST_PRIOR, SLOW_PRIOR = 0.35, 0.00001  # bursts that count as seen in half a month before the first bin
SLOW_DOUBT = 1.0  # one slow burst is none: a crisis may have been short
IN_BURST, OUT_OF_BURST = 0.1, 0.9  # probability of null
SHORT, SHORT_SIZE = 4 * 3600, 3.0  # a page that was over within this time (s), and was at least so large, was a burst


@compiled
def readiness(s: Any) -> Any:
    """Probability, per family, that a burst begins in a bin: [families]."""
    entry = np.empty(BURST_SPEEDS)
    scale = READINESS / (0.5 + s.burst_months) / MONTH
    slow = SLOW_PRIOR + max(0.0, s.burst_count[1] - SLOW_DOUBT)
    entry[0] = min(MOST_READY, scale * (FAST_PRIOR + s.burst_count[0]))
    for family in range(1, BURST_SPEEDS):
        entry[family] = min(MOST_READY, scale * slow) / (BURST_SPEEDS - 1)
    return entry


@compiled
def move_chain(chain: Any, entry: Any) -> None:
    """One bin of a burst's life: from null it may begin high; it stays, falls one step, or two, and is over."""
    null = chain[0]
    ended = 0.0
    for speed in range(BURST_SPEEDS):
        base, steps = FIRST[speed], BURST_LEVELS * PHASES[speed]
        stay, one, two = STAY[speed], DOWN_ONE[speed], DOWN_TWO[speed]
        ended += chain[base] * (one + two) + chain[base + 1] * two
        for i in range(base, base + steps - 2):
            chain[i] = stay * chain[i] + one * chain[i + 1] + two * chain[i + 2]
        top = base + steps - 1
        chain[top - 1] = stay * chain[top - 1] + one * chain[top]
        chain[top] *= stay
        begin = entry[speed] * null / ENTRY_LEVELS
        for level in range(BURST_LEVELS - ENTRY_LEVELS, BURST_LEVELS):
            chain[base + (level + 1) * PHASES[speed] - 1] += begin
    chain[0] = null * (1.0 - entry.sum()) + ended


@compiled
def weigh_chain(chain: Any, ratios: Any, eta: float) -> float:
    """Bayes: weights states by the bin's likelihood; returns ln of its sum, the bin's likelihood without a crisis."""
    best = 0.0
    for level in range(BURST_LEVELS):
        best = max(best, eta * ratios[level])
    factor = np.empty(BURST_LEVELS)
    null = math.exp(-best)
    total = chain[0] * null
    for level in range(BURST_LEVELS):
        factor[level] = math.exp(eta * ratios[level] - best)
        mass = 0.0
        for speed in range(BURST_SPEEDS):
            base = FIRST[speed] + level * PHASES[speed]
            for i in range(base, base + PHASES[speed]):
                mass += chain[i]
        total += factor[level] * mass
    chain[0] *= null / total
    for level in range(BURST_LEVELS):
        factor[level] /= total
        for speed in range(BURST_SPEEDS):
            base = FIRST[speed] + level * PHASES[speed]
            for i in range(base, base + PHASES[speed]):
                chain[i] *= factor[level]
    return best + math.log(total)


@compiled
def pass_time(s: Any) -> None:
    """A bin of which nothing is known: bursts go on without a witness."""
    entry = readiness(s)
    for group in range(CLASSES):
        move_chain(s.chain[group], entry)


@compiled
def end_bursts(s: Any) -> None:
    """Back to null."""
    for group in range(CLASSES):
        s.chain[group, :] = 0.0
        s.chain[group, 0] = 1.0
    s.in_burst = 0


@compiled
def count_bursts(s: Any) -> None:
    """A burst has passed when the fast class's chain left null and comes back without a page."""
    keep = math.exp(-1.0 / COUNT_MEMORY)
    s.burst_count[0] *= keep
    s.burst_count[1] *= keep
    s.burst_months = keep * s.burst_months + 1.0 / MONTH
    null = s.chain[CLASSES - 1, 0]
    if s.open > 0:
        s.in_burst = 0
    elif s.in_burst == 0 and null < IN_BURST:
        s.in_burst = 1
        s.burst_mass[:] = 0.0
    elif s.in_burst == 1 and null > OUT_OF_BURST:
        s.in_burst = 0
        s.burst_count[1 if s.burst_mass[1] > s.burst_mass[0] else 0] += 1.0
    if s.in_burst == 1:
        for i in range(1, BURST_STATES):
            s.burst_mass[0 if i < FIRST[1] else 1] += s.chain[CLASSES - 1, i]


@compiled
def count_short_page(s: Any) -> None:
    """An incident that was over soon was a slow burst; its end is where the evidence of calm began, not where it won."""
    if s.calm_since - s.open_since < SHORT and s.open_size >= SHORT_SIZE:
        s.burst_count[1] += 1.0
