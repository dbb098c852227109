"""The detector on simulated worlds: `python -m tests.bench.spikes [--brands 28] [--seeds 2] [--world A ...]`.

Prints the table of the goals; progress goes to stderr. The default is one seed, which takes about a minute and leaves
much to chance; LOG.md says with which sizes its figures were made.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from alerting.detector import Settings, State, update
from tests.bench.spikes.scoring import CrisisScore, Decision, FreeScore, decisions_of
from tests.bench.spikes.worlds import (
    HALF_LIVES,
    REPORT_DISPERSIONS,
    REPORT_RATES,
    TUNE_DISPERSIONS,
    TUNE_RATES,
    World,
    make,
)

FIRST_SEED = {"report": 11, "tune": 1}
COLUMNS = ("world", "false/month", "worst cell", "found %", "x2", "x3", "x5", "x3 rarest", "delay/oracle x2-5", "x10-20",
           "closes, min", "early %", "again", "backlogs %", "praise %")  # fmt: skip


def judged(world: World) -> list[Decision]:
    """What the shipped detector decides with shipped settings."""
    ones = np.ones(world.count.shape)
    state = State.fresh(len(world.start))
    _, verdicts, _ = update(state, world.start, world.count, world.total, ones, Settings())
    return decisions_of(world, [(v.brand, v.end, v.kind) for v in verdicts])


def row(name: str, seeds: range, rates: tuple[float, ...], dispersions: tuple[float, ...]) -> list[str]:
    """One world's line of the table."""
    free, crisis = FreeScore(), CrisisScore()
    for seed in seeds:
        began = time.monotonic()
        world = make(name, seed, rates, dispersions, crises=False)
        free.add(world, judged(world))
        if name in "ABCP":
            world = make(name, seed, rates, dispersions, crises=True)
            crisis.add(world, judged(world), oracle=name in "AB")
        print(f"world {name} seed {seed}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    worst, cell = free.worst()
    cells = [name, f"{free.mean():.2f}", f"{worst:.1f} (rate {cell[0]:g}, phi {cell[1]:g})"]
    if crisis.delays:
        found = (crisis.found(), *(crisis.found(size) for size in (2.0, 3.0, 5.0)), crisis.found(3.0, min(rates)))
        cells += [f"{value:.0f}" for value in found]
        cells += [_number(crisis.over_oracle(2, 5)), _number(crisis.over_oracle(10, 20))]
        count = len(crisis.delays)
        cells += [
            f"{np.median(crisis.closed):+.0f}",
            f"{100 * crisis.early / count:.1f}",
            f"{crisis.again / count:.3f}",
        ]
    else:
        cells += ["-"] * 10
    cells.append(_percent(free.backlogs_paged, free.backlogs))
    cells.append(_percent(free.waves_paged, free.waves))
    return cells


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def table(rows: list[list[str]]) -> str:
    """Aligned columns."""
    widths = [max(len(line[i]) for line in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.spikes", description=__doc__)
    parser.add_argument(
        "--brands", type=int, default=28, help="pairs of rate and dispersion, taken evenly (at most 28)"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int)
    parser.add_argument("--world", nargs="+", choices=sorted(HALF_LIVES), default=list("ABCMDP"))
    parser.add_argument("--grid", choices=("report", "tune"), default="report", help="settings were chosen on tune")
    given = parser.parse_args()
    tune = given.grid == "tune"
    rates, dispersions = (TUNE_RATES, TUNE_DISPERSIONS) if tune else (REPORT_RATES, REPORT_DISPERSIONS)
    rates = rates[:: max(1, round(28 / given.brands))]
    first = FIRST_SEED[given.grid] if given.first_seed is None else given.first_seed
    rows = [row(name, range(first, first + given.seeds), rates, dispersions) for name in given.world]
    print(table([list(COLUMNS), *rows]))


if __name__ == "__main__":
    main()
