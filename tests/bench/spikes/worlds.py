"""Simulated brands: counts of negative mentions in 5-minute bins, with crises whose onset is known.

The recipe is the one of the project's notes on detection. Where the note leaves a choice open, it is made here and said.
A world is a letter: A nothing but season, growth and overdispersion; B adds a log-AR(1) noise of the rate; C
adds eight harmless bursts a month whose excess halves in 1.5 bins; S, L, X, Y, M are C with half-lives of .7, 3, 6,
12 bins, and all of these mixed. D is A with outages whose backlog arrives in one bin. P is A with waves of praise,
of which a classifier calls 5 % negative.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BIN = 300
BINS_PER_DAY = 288
BINS_PER_MONTH = 8640
WARM_UP_WEEKS = 4
SIZES = (2.0, 3.0, 5.0, 10.0, 20.0)
Shape = Literal["step", "ramp", "viral"]
SHAPES: tuple[Shape, ...] = ("step", "ramp", "viral")
BURSTS_PER_MONTH = 8.0
BURST_PEAK = 13.0
BURST_PEAK_SPREAD = 0.6  # log sd of a burst's peak; the note gives only the median
EPOCH = 1_767_571_200  # Monday 2026-01-05 00:00 UTC

# Settings are chosen on TUNE and reported on REPORT.
TUNE_RATES, TUNE_DISPERSIONS = (0.05, 0.2, 1.0, 5.0, 20.0, 100.0, 500.0), (1.0, 2.0, 5.0, 10.0)
REPORT_RATES, REPORT_DISPERSIONS = (0.1, 0.4, 2.0, 10.0, 40.0, 200.0, 800.0), (1.4, 3.0, 6.0, 8.0)


@dataclass(frozen=True)
class Crisis:
    brand: int
    onset: int  # index of the first bin
    size: float
    shape: Shape
    fades: int  # index of the first bin after which a tenth of the peak's excess is left
    decays: int  # index of the bin where the decay begins


@dataclass(frozen=True)
class World:
    """Streams of one seed: counts [brands, bins] (NaN: the collector was away), usual rates, the crises inside."""

    name: str
    seed: int
    rate: NDArray[np.float64]
    dispersion: NDArray[np.float64]
    start: NDArray[np.int64]
    count: NDArray[np.float64]
    usual: NDArray[np.float64]
    crises: list[Crisis] = field(default_factory=list)
    backlogs: list[tuple[int, int]] = field(default_factory=list)  # brand, index of the bin in which a backlog arrives
    praise: list[tuple[int, int, int]] = field(default_factory=list)  # brand, first and last bin of a wave
    total: NDArray[np.float64] | None = None

    @property
    def warm_up(self) -> int:
        return WARM_UP_WEEKS * 7 * BINS_PER_DAY

    @property
    def months(self) -> float:
        """Months of evaluation of one brand."""
        return (self.count.shape[1] - self.warm_up) / BINS_PER_MONTH


def grid(rates: tuple[float, ...], dispersions: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rate, dispersion = np.meshgrid(np.array(rates), np.array(dispersions), indexing="ij")
    return rate.ravel(), dispersion.ravel()


def season(rng: np.random.Generator, start: int, bins: int) -> NDArray[np.float64]:
    """Shape of day and week with mean 1, times growth exp(N(0, .1)) a month."""
    time = (start + BIN * np.arange(bins + 2 * 12)) / 86_400
    a, b = rng.uniform(0.5, 1.2), rng.uniform(0, 0.4)
    day, half = rng.uniform(0, 2 * np.pi, 2)
    hours = np.exp(a * np.cos(2 * np.pi * time - day) + b * np.cos(4 * np.pi * time - half))
    weekend = np.where((time.astype(np.int64) + 3) % 7 >= 5, rng.uniform(0.4, 0.9), 1.0)
    shape = hours[12:-12] * np.convolve(weekend, np.ones(25) / 25, "valid")
    shape /= shape[: 7 * BINS_PER_DAY].mean()
    growth = np.exp(rng.normal(0, 0.1) * np.arange(bins) / BINS_PER_MONTH)
    return np.asarray(shape * growth, np.float64)


def rate_noise(rng: np.random.Generator, bins: int, sd: float = 0.2, tau: float = 24.0) -> NDArray[np.float64]:
    """exp of an AR(1) with stationary standard deviation sd and correlation time tau (bins), mean 1."""
    from scipy.signal import lfilter

    keep = np.exp(-1 / tau)
    shocks = rng.normal(0, sd * np.sqrt(1 - keep**2), bins)
    shocks[0] = rng.normal(0, sd)
    log_rate = lfilter([1.0], [1.0, -keep], shocks)
    return np.asarray(np.exp(log_rate - sd**2 / 2), np.float64)


def bursts(rng: np.random.Generator, bins: int, half_lives: tuple[float, ...]) -> NDArray[np.float64]:
    """Factor of harmless bursts: sudden, then halving every `half_life` bins."""
    factor = np.ones(bins)
    for onset in rng.integers(0, bins, rng.poisson(BURSTS_PER_MONTH * bins / BINS_PER_MONTH)):
        peak = max(1.5, BURST_PEAK * np.exp(rng.normal(0, BURST_PEAK_SPREAD)))
        half_life = rng.choice(half_lives)
        length = min(bins - onset, int(12 * half_life) + 1)
        factor[onset : onset + length] += (peak - 1) * 0.5 ** (np.arange(length) / half_life)
    return factor


def crisis_factor(size: float, shape: Shape) -> tuple[NDArray[np.float64], int, int]:
    """Factor per bin from the onset on; bin where the decay begins; bin where a tenth of the excess is left.

    Step: 12 h at full size. Ramp: 3 h up, 9 h at full size. Viral: the excess doubles every 30 minutes from a tenth
    of the usual rate to the peak. Then all fall in a straight line for 6 h.
    """
    if shape == "step":
        rise = np.ones(144)
    elif shape == "ramp":
        rise = np.minimum(1.0, (np.arange(144) + 1) / 36)
    else:
        climb = int(np.ceil(6 * np.log2((size - 1) / 0.1)))
        rise = 0.5 ** ((climb - np.arange(climb + 1)) / 6)
    decay = 1 - (np.arange(72) + 1) / 72
    excess = np.concatenate([rise, decay])
    return 1 + (size - 1) * excess, len(rise), len(rise) + int(np.argmax(decay < 0.1))


def place_crises(
    rng: np.random.Generator, brand: int, bins: int, warm_up: int
) -> tuple[NDArray[np.float64], list[Crisis]]:
    factor, found = np.ones(bins), []
    onset = warm_up + int(rng.uniform(0, 2) * BINS_PER_DAY)
    deck: list[tuple[float, Shape]] = []
    while True:
        if not deck:
            deck = [(size, shape) for size in SIZES for shape in SHAPES]
            rng.shuffle(deck)  # type: ignore[arg-type]
        size, shape = deck.pop()
        shape_factor, decays, fades = crisis_factor(size, shape)
        if onset + len(shape_factor) >= bins:
            return factor, found
        factor[onset : onset + len(shape_factor)] *= shape_factor
        found.append(Crisis(brand, onset, size, shape, onset + fades, onset + decays))
        onset += int(rng.uniform(4, 6) * BINS_PER_DAY)


def draw(rng: np.random.Generator, mean: NDArray[np.float64], dispersion: float) -> NDArray[np.float64]:
    """Counts with variance dispersion x mean."""
    if dispersion <= 1.0:
        return rng.poisson(mean).astype(np.float64)
    p = 1 / dispersion
    return rng.negative_binomial(np.maximum(mean, 1e-12) / (dispersion - 1), p).astype(np.float64)


def make_gaps(rng: np.random.Generator, count: NDArray[np.float64]) -> None:
    """Two outages of the collector a month, lognormal with median 45 minutes; nothing is known of these bins."""
    bins = len(count)
    for onset in rng.integers(0, bins, rng.poisson(2 * bins / BINS_PER_MONTH)):
        count[onset : onset + max(1, round(9 * np.exp(rng.normal(0, 1))))] = np.nan


def make_backlogs(rng: np.random.Generator, count: NDArray[np.float64], warm_up: int) -> list[int]:
    """Every 3 to 5 days an outage of 1-8 h that looks like silence, and whose mentions all arrive in the next bin."""
    arrivals, at = [], warm_up
    while True:
        at += int(rng.uniform(3, 5) * BINS_PER_DAY)
        length = int(rng.uniform(12, 96))
        if at + length >= len(count):
            return arrivals
        count[at + length] = np.nansum(count[at : at + length + 1])
        count[at : at + length] = 0.0
        arrivals.append(at + length)


PRAISE_TIMES, PRAISE_MISTAKEN, PRAISE_SHARE = (5.0, 20.0), 0.05, 10.0
HALF_LIVES: dict[str, tuple[float, ...]] = {
    "A": (), "B": (), "D": (), "P": (), "C": (1.5,), "S": (0.7,), "L": (3.0,), "X": (6.0,), "Y": (12.0,),
    "M": (0.7, 1.5, 3.0, 6.0, 12.0),
}  # fmt: skip


def make_praise(
    rng: np.random.Generator, count: NDArray[np.float64], usual: NDArray[np.float64], warm_up: int
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """Adds to `count` what a classifier makes of ten times as many other mentions; returns totals and waves.

    Every 3 to 5 days the others rise 5 to 20 times for 2 to 12 h.
    """
    others, waves, at = PRAISE_SHARE * usual, [], warm_up
    while True:
        at += int(rng.uniform(3, 5) * BINS_PER_DAY)
        end = at + int(rng.uniform(24, 144))
        if end >= len(count):
            break
        others[at:end] *= rng.uniform(*PRAISE_TIMES)
        waves.append((at, end))
    right = rng.poisson(others * (1 - PRAISE_MISTAKEN))
    count += rng.poisson(others * PRAISE_MISTAKEN)
    return count + right, waves


def make(
    name: str,
    seed: int,
    rates: tuple[float, ...] = REPORT_RATES,
    dispersions: tuple[float, ...] = REPORT_DISPERSIONS,
    *,
    crises: bool,
    weeks: int = 12,
) -> World:
    """One world: a brand for each pair of rate and dispersion. The same arguments give the same world."""
    rate, dispersion = grid(rates, dispersions)
    bins, warm_up = weeks * 7 * BINS_PER_DAY, WARM_UP_WEEKS * 7 * BINS_PER_DAY
    count, usual = np.empty((len(rate), bins)), np.empty((len(rate), bins))
    start = np.empty(len(rate), np.int64)
    inside: list[Crisis] = []
    outages: list[tuple[int, int]] = []
    praise: list[tuple[int, int, int]] = []
    total = np.full(count.shape, np.nan) if name == "P" else None
    for brand in range(len(rate)):
        rng = np.random.default_rng([seed, ord(name), brand, crises, 0])
        start[brand] = EPOCH + rng.integers(0, BIN)
        usual[brand] = rate[brand] * season(rng, int(start[brand]), bins)
        mean = usual[brand].copy()
        if name not in "ADP":
            mean *= rate_noise(rng, bins)
        if HALF_LIVES[name]:
            mean *= bursts(rng, bins, HALF_LIVES[name])
        if crises:
            factor, found = place_crises(rng, brand, bins, warm_up)
            mean *= factor
            inside += found
        count[brand] = draw(rng, mean, float(dispersion[brand]))
        if total is not None:
            total[brand], waves = make_praise(rng, count[brand], usual[brand], warm_up)
            praise += [(brand, *wave) for wave in waves]
        if name == "D":
            outages += [(brand, at) for at in make_backlogs(rng, count[brand], warm_up)]
        else:
            make_gaps(rng, count[brand])
    return World(name, seed, rate, dispersion, start, count, usual, inside, outages, praise, total)
