"""Scores of a detector's verdicts on simulated worlds, and the delay of an oracle."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from tests.bench.spikes.worlds import BIN, Crisis, World

WITHIN = 144  # bins from the onset in which a page counts as a detection: 12 h
AFTER_BACKLOG = 12  # bins after a backlog's arrival in which a page counts as caused by it


@dataclass(frozen=True)
class Decision:
    """A page or a close of one brand; `bin` is the index of the bin after which it was decided."""

    brand: int
    bin: int
    kind: str


@dataclass
class FreeScore:
    """False pages of streams without a crisis."""

    months: dict[tuple[float, float], float] = field(default_factory=lambda: defaultdict(float))
    pages: dict[tuple[float, float], int] = field(default_factory=lambda: defaultdict(int))
    backlogs: int = 0
    backlogs_paged: int = 0
    waves: int = 0
    waves_paged: int = 0

    def add(self, world: World, decisions: Iterable[Decision]) -> None:
        paged = [d for d in decisions if d.kind == "page" and d.bin >= world.warm_up]
        for brand in range(len(world.rate)):
            cell = (float(world.rate[brand]), float(world.dispersion[brand]))
            self.months[cell] += world.months
            self.pages[cell] += sum(d.brand == brand for d in paged)
        for brand, at in world.backlogs:
            self.backlogs += 1
            self.backlogs_paged += any(d.brand == brand and at <= d.bin < at + AFTER_BACKLOG for d in paged)
        for brand, at, end in world.praise:
            self.waves += 1
            self.waves_paged += any(d.brand == brand and at <= d.bin < end + AFTER_BACKLOG for d in paged)

    def mean(self) -> float:
        return sum(self.pages.values()) / sum(self.months.values())

    def worst(self) -> tuple[float, tuple[float, float]]:
        return max((self.pages[cell] / self.months[cell], cell) for cell in self.months)


@dataclass
class CrisisScore:
    """Found crises, delays (minutes, 12 h where it was missed), closes (minutes after it faded)."""

    delays: list[tuple[Crisis, float, float, float]] = field(default_factory=list)  # crisis, rate, delay, oracle's
    closed: list[float] = field(default_factory=list)
    early: int = 0
    again: int = 0

    def add(self, world: World, decisions: Iterable[Decision], *, oracle: bool) -> None:
        by_brand: dict[int, list[Decision]] = defaultdict(list)
        for d in decisions:
            by_brand[d.brand].append(d)
        for crisis in world.crises:
            mine = by_brand[crisis.brand]
            pages = [d.bin for d in mine if d.kind == "page" and crisis.onset <= d.bin < crisis.fades]
            found = [p for p in pages if p < crisis.onset + WITHIN]
            delay = (found[0] - crisis.onset + 1) * 5.0 if found else math.inf
            best = oracle_delay(world, crisis) if oracle and crisis.shape == "step" else math.nan
            self.delays.append((crisis, float(world.rate[crisis.brand]), delay, best))
            if found:
                closes = [d.bin for d in mine if d.kind == "close" and d.bin >= found[0]]
                self.early += bool(closes) and closes[0] < crisis.decays
                self.again += len(pages) - 1
                if closes:
                    self.closed.append((closes[0] + 1 - crisis.fades) * 5.0)

    def found(self, size: float | None = None, rate: float | None = None) -> float:
        """Percent of crises paged within 12 h."""
        hits = [
            d < math.inf
            for c, r, d, _ in self.delays
            if (size is None or c.size == size) and (rate is None or r == rate)
        ]
        return 100 * float(np.mean(hits)) if hits else math.nan

    def delay(self, size: float) -> float:
        """Median delay in minutes."""
        return float(np.median([d for c, _, d, _ in self.delays if c.size == size]))

    def over_oracle(self, smallest: float, largest: float) -> float:
        """Mean delay on steps over the oracle's, both capped at 12 h."""
        cap = WITHIN * 5.0
        pairs = [
            (min(d, cap), best)
            for c, _, d, best in self.delays
            if smallest <= c.size <= largest and not math.isnan(best)
        ]
        return float(np.sum([p[0] for p in pairs]) / np.sum([p[1] for p in pairs])) if pairs else math.nan


def ratios(
    count: NDArray[np.float64], usual: NDArray[np.float64], dispersion: float, size: float
) -> NDArray[np.float64]:
    """ln likelihood of size x usual over usual, per bin; 0 in gaps."""
    if dispersion <= 1.0:
        value = count * math.log(size) - (size - 1) * usual
    else:
        r = usual / (dispersion - 1)
        value = gammaln(count + size * r) - gammaln(size * r) - gammaln(count + r) + gammaln(r)
        value -= (size - 1) * r * math.log(dispersion)
    return np.nan_to_num(value)


def oracle_delay(world: World, crisis: Crisis, threshold: float = math.log(8640)) -> float:
    """Minutes until a CUSUM that knows the usual rate, the dispersion and the size has ln 8640 nats; capped at 12 h."""
    before = 288
    part = slice(crisis.onset - before, crisis.onset + WITHIN)
    gains = ratios(
        world.count[crisis.brand, part],
        world.usual[crisis.brand, part],
        float(world.dispersion[crisis.brand]),
        crisis.size,
    )
    level = 0.0
    for i, gain in enumerate(gains):
        level = max(0.0, level + gain)
        if level >= threshold and i >= before:
            return (i - before + 1) * 5.0
        level = min(level, threshold)
    return WITHIN * 5.0


def decisions_of(world: World, verdicts: Iterable[tuple[int, int, str]]) -> list[Decision]:
    """From (brand, end of the bin, kind)."""
    return [Decision(b, (end - int(world.start[b])) // BIN - 1, kind) for b, end, kind in verdicts]
