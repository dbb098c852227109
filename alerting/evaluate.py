"""The step that the live path, the back-test and `explain` share: what is known about a brand -> a judgement.

Pure: what it needs of the past it carries in a `Watch`; time comes from the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alerting.bins import Bin, Service, bin_start, evidence, exposure
from alerting.brand_state import HOURS
from alerting.detector import BIN_SECONDS, Settings, State, Verdict, update

SEALED_AFTER = 48 * 3600
"""Seconds for which a bin may still change; what comes later is kept, not counted."""
MONDAY = 72
"""Hours from the last Monday before the epoch to the epoch."""
SPACINGS = ((7_200, 1_800), (28_800, 7_200), (SEALED_AFTER, 28_800))
"""Up to which age (s) states of the detector are kept, and how far apart: a late answer costs a short re-evaluation."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The detector's state after the bin that ends at `end`."""

    end: int
    state: State


@dataclass(slots=True)
class Watch:
    """Everything that the judgement about one brand stands on."""

    brand: str
    checkpoints: list[Checkpoint]
    """Oldest first; the first is sealed: nothing before it changes any more."""
    bins: dict[int, Bin] = field(default_factory=dict)
    """By start; not older than the sealed checkpoint."""
    services: dict[str, Service] = field(default_factory=dict)
    changed: int | None = None
    """Start of the earliest bin that differs from what the newest checkpoint has seen."""
    counted: frozenset[str] = frozenset()
    """Sources in evidence at the last evaluation."""
    page: Verdict | None = None
    """What the detector said when it became active; None while it is not."""

    def touch(self, start: int) -> None:
        """A bin has changed."""
        self.changed = start if self.changed is None else min(self.changed, start)

    @property
    def sealed(self) -> int:
        """End of the last bin that does not change any more."""
        return self.checkpoints[0].end


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is so at the clock's time."""

    at: int
    """End of the last bin that was judged."""
    active: bool
    """Whether it is a crisis now."""
    score: float
    """Evidence after the last bin, in nats."""
    verdicts: Sequence[Verdict]
    """What was decided in the bins that were evaluated (again)."""
    changed: Mapping[int, Bin]
    """The bins that were evaluated and hold something, by start."""


def fresh(brand: str, start: float) -> Watch:
    """A brand that is watched from the bin of `start` on."""
    return Watch(brand, [Checkpoint(bin_start(start), State.fresh(1))])


def evaluate(watch: Watch, clock: float, settings: Settings) -> Judgement:
    """Judge every bin that ended by `clock`, beginning with the earliest that changed. The watch moves along."""
    end = bin_start(clock)
    while len(watch.checkpoints) > 1 and watch.changed is not None and watch.checkpoints[-1].end > watch.changed:
        watch.checkpoints.pop()
    base = watch.checkpoints[-1]
    if end <= base.end:
        return Judgement(base.end, active(base.state), 0.0, (), {})
    starts = np.arange(base.end, end, BIN_SECONDS, dtype=np.int64)
    counted = evidence(watch.services, clock)
    seen = exposure(starts, counted.values())
    bins = [watch.bins.get(int(start)) or Bin() for start in starts]
    cuts = [int(at) - base.end for at in starts if at > base.end and _kept(int(at), end)] + [end - base.end]
    state, low, score = base.state, 0, 0.0
    verdicts: list[Verdict] = []
    for cut in cuts:
        high = cut // BIN_SECONDS
        part = slice(low, high)
        state, found, scores = update(
            state,
            starts[low : low + 1],
            np.array([[b.negative for b in bins[part]]], dtype=np.float64),
            np.array([[b.total for b in bins[part]]], dtype=np.float64),
            seen[None, part],
            settings,
        )
        verdicts += found
        score = float(scores[0, -1])
        watch.checkpoints.append(Checkpoint(base.end + cut, state))
        low = high
    judged = {int(start): watch.bins[int(start)] for start in starts if int(start) in watch.bins}
    watch.page = _page(watch.page, verdicts, active(state))
    _forget(watch, end)
    watch.changed = None
    watch.counted = frozenset(counted)
    return Judgement(end, active(state), score, verdicts, judged)


def active(state: State) -> bool:
    """Whether the detector has paged for the (one) brand and has not closed since."""
    return bool(state.brands["open"][0] > 0)


def _page(before: Verdict | None, verdicts: Sequence[Verdict], is_active: bool) -> Verdict | None:
    """The verdict that the present activity goes back to."""
    newest = next((v for v in reversed(verdicts) if v.kind == "page"), before)
    return newest if is_active else None


def ongoing(watch: Watch, judgement: Judgement) -> Verdict:
    """What a page says about a crisis that was found before the present state was loaded: it goes on."""
    record = watch.checkpoints[-1].state.brands[0]
    expected, observed = float(record["open_expected"]), float(record["open_observed"])
    since = int(record["open_since"])
    ratio = observed / max(expected, 0.01)
    reason = f"{observed:.0f} negative mentions where {expected:.3g} are usual: a crisis that has begun goes on."
    return Verdict(0, judgement.at, "page", judgement.score, expected, int(observed), ratio, since, "sustained", reason)


def usual(state: State, starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the detector expects of the (one) brand in each bin [bins], if all of it is seen."""
    middle = starts + BIN_SECONDS // 2 - 1_800
    part = (middle % 3_600) / 3_600
    cell = (middle // 3_600 + MONDAY) % HOURS
    profile, level = state.brands["profile"][0], state.brands["level"][0]
    expected: NDArray[np.float64] = level * (profile[cell] * (1 - part) + profile[(cell + 1) % HOURS] * part)
    return expected


def _kept(at: int, end: int) -> bool:
    """Whether the state after the bin that ends at `at` is worth its memory at `end`."""
    return any(end - at <= age and at % apart == 0 for age, apart in SPACINGS)


def _forget(watch: Watch, end: int) -> None:
    """Keep the newest state, the spaced ones, and one that is sealed; drop the bins before it."""
    sealed = max((c.end for c in watch.checkpoints if c.end <= end - SEALED_AFTER), default=watch.sealed)
    watch.checkpoints = [
        c for c in watch.checkpoints if c.end in (sealed, end) or (c.end > sealed and _kept(c.end, end))
    ]
    for start in [start for start in watch.bins if start < sealed]:
        del watch.bins[start]
