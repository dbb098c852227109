"""What the detector remembers of each brand: one record a brand, fixed in size, copied and stored as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

HOURS = 168  # cells of the hour-of-week profile
WINDOWS = 4  # 5 min, 15 min, 1 h, 6 h: windows in which the slow noise of the rate is measured
DISPERSIONS = 13  # grid of the posterior of the dispersion
SIZES = 9  # crisis hypotheses
CLASSES = 3  # slow, medium, fast: groups of hypotheses with one window of tempering
BURST_LEVELS = 10
BURST_PHASES = (1, 1, 3, 6)  # steps in which each family of bursts leaves a level: slow ones take more
BURST_SPEEDS = len(BURST_PHASES)
BURST_STATES = 1 + sum(BURST_PHASES) * BURST_LEVELS
RING = 36  # bins of the longest window of the burst rule

RECORD = np.dtype(
    [
        # clock
        ("next", np.int64),  # start of the next bin, s since epoch; -1: nothing seen yet
        ("seen", np.int64),  # bins known so far
        ("gap", np.int64),  # unknown bins in a row
        ("hour", np.int64),  # hour of the week of the last bin; -1: none
        # level: decayed sums of counts, of exposure x profile, and of its squared weights
        ("level_count", np.float64),
        ("level_exposure", np.float64),
        ("level_square", np.float64),
        ("level", np.float64),  # usual negatives per bin, averaged over the week
        ("level_variance", np.float64),  # relative
        # hour-of-week profile: decayed sums per cell and what follows from them
        ("cell_count", np.float64, HOURS),
        ("cell_expected", np.float64, HOURS),
        ("cell_bins", np.float64, HOURS),
        ("profile", np.float64, HOURS),
        ("profile_variance", np.float64, HOURS),  # relative
        # slow noise of the rate: the running window's sums and the decayed moments
        ("window_bins", np.int64, WINDOWS),
        ("window_excess", np.float64, WINDOWS),
        ("window_expected", np.float64, WINDOWS),
        ("noise_moment", np.float64, WINDOWS),
        ("noise_weight", np.float64, WINDOWS),
        ("noise", np.float64, WINDOWS),  # relative variance
        ("noise_guess", np.float64, WINDOWS),  # share of the prior in it
        # dispersion
        ("pair_moment", np.float64),
        ("pair_weight", np.float64),
        ("last_excess", np.float64),  # count - expected of the bin before; NaN after a gap
        ("last_expected", np.float64),
        ("likelihood", np.float64, DISPERSIONS),
        ("dispersion", np.float64),
        # silence account
        ("silence", np.float64),  # negatives expected in the present run of zeros
        ("owed", np.float64),  # negatives that an outage may still deliver
        # evidence
        ("ratio", np.float64, SIZES),  # Shiryaev-Roberts statistic of each size
        ("since_log", np.float64, SIZES),  # CUSUM that says where the evidence began
        ("since", np.int64, SIZES),
        ("since_observed", np.float64, SIZES),
        ("since_expected", np.float64, SIZES),
        ("chain", np.float64, (CLASSES, BURST_STATES)),
        ("in_burst", np.int64),
        ("burst_mass", np.float64, 2),  # fast, slow: who explains the present burst
        ("burst_count", np.float64, 2),  # fast, slow
        ("burst_months", np.float64),
        # threshold
        ("armed", np.int64),
        ("excursions", np.float64),
        ("excursion_months", np.float64),
        # incident
        ("open", np.int64),  # bins since the page + 1; 0: closed
        ("open_since", np.int64),
        ("open_size", np.float64),  # the size that led when it paged
        ("open_observed", np.float64),
        ("open_expected", np.float64),
        ("recent_observed", np.float64),
        ("recent_expected", np.float64),
        ("closing", np.float64),
        ("calm_since", np.int64),  # end of the last bin that spoke for an open incident
        # burst rule: excess of the last bins, decayed second moments per window
        ("ring", np.float64, RING),
        ("ring_expected", np.float64, RING),
        ("ring_at", np.int64),
        ("excess_moment", np.float64, 4),
        ("excess_weight", np.float64),
        ("burst_quiet", np.int64),  # bins until the burst rule may speak again
        # the whole flow, when totals are given
        ("others", np.float64),  # decayed sum of mentions that are not negative
        ("others_expected", np.float64),  # decayed sum of expected negatives in the same bins
    ]
)

# Any change of the record is another version; the leading number is for changes of meaning.
VERSION = b"tocsin-detector-1-" + hashlib.sha256(repr(RECORD.descr).encode()).hexdigest()[:12].encode() + b"\n"


def compiled(function: F) -> F:
    """Compiled by numba when first called. Not cached by itself: only the entry is (see detector.py)."""
    return cast(F, njit(error_model="numpy")(function))


class Bin(NamedTuple):
    """One known bin of a brand, as all steps see it."""

    start: int
    """s since epoch"""
    observed: float
    """negatives counted"""
    fresh: float
    """what the silence account left of them"""
    expected: float
    """negatives usual in this bin, with what a rise of the other mentions explains"""
    extra: float
    """that part alone"""
    doubt: float
    """relative variance of `expected`"""
    exposure: float
    """share of the usual flow that was seen, 0..1"""
    shape: float
    """hour-of-week profile, 1 on average"""


@dataclass(slots=True)
class State:
    """The detector's memory of many brands; `brands` is a structured array [brands] of RECORD."""

    brands: NDArray[Any]

    @classmethod
    def fresh(cls, n: int) -> State:
        """n brands of which nothing is known."""
        brands = np.zeros(n, RECORD)
        brands["next"] = brands["hour"] = -1
        brands["profile"] = 1.0
        brands["dispersion"] = 2.0
        brands["last_excess"] = np.nan
        brands["chain"][:, :, 0] = 1.0
        brands["armed"] = 1
        brands["noise_guess"] = 1.0
        brands["noise"] = 0.02
        return cls(brands)

    def __len__(self) -> int:
        return len(self.brands)

    def take(self, indices: NDArray[np.int64]) -> State:
        """A copy of some brands, in the order of `indices`."""
        return State(self.brands[indices].copy())

    def put(self, indices: NDArray[np.int64], other: State) -> None:
        """Replaces brands `indices` by those of `other`."""
        self.brands[indices] = other.brands

    def to_bytes(self) -> bytes:
        """Versioned bytes; equal states give equal bytes."""
        return VERSION + self.brands.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """Reads what to_bytes wrote. ValueError when another version wrote it, or part of it is missing."""
        if not data.startswith(VERSION):
            raise ValueError("this detector state was written by another version of Tocsin; rebuild it from the bins")
        body = data[len(VERSION) :]
        if len(body) % RECORD.itemsize:
            raise ValueError("this detector state is cut off; rebuild it from the bins")
        return cls(np.frombuffer(body, RECORD).copy())
