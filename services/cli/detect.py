"""`tocsin detect`: the detector alone, on a CSV of counts."""

from __future__ import annotations

import gc
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO, cast, get_args

import numpy as np
import typer
from numpy.typing import NDArray

from alerting.detector import BIN_SECONDS, Settings, State, Verdict, update
from alerting.verdict import Sensitivity
from services.counts import BadInput, Counts, Ticks, read_counts, write_scores

BLOCK_BINS = 20_000  # bins of a brand judged at a time; gaps longer than that are skipped, not filled


def detect(
    counts: Annotated[
        str, typer.Argument(metavar="COUNTS.csv", help="Columns brand,time,count[,total][,exposure]; - reads stdin.")
    ],
    scores: Annotated[
        Path | None, typer.Option(help="Also write brand,time,score for each input row to this file.")
    ] = None,
    pages_per_month: Annotated[float, typer.Option(help="False pages per brand and month that are bearable.")] = 0.5,
    sensitivity: Annotated[str, typer.Option(help="quiet, normal or loud.")] = "normal",
) -> None:
    """Says when each brand would have been paged, from counts of negative mentions in 5-minute bins.

    Prints JSON Lines: brand, time (end of the bin after which it was decided), kind (page, burst, close), score, expected,
    observed, ratio, since, rule, reason. An empty count or a missing row is a gap.
    """
    settings = _settings(pages_per_month, sensitivity)
    with ExitStack() as stack:
        ticks = _Ticks(stack)
        source = _open(counts, stack)
        stack.enter_context(_no_collection())
        try:
            table = read_counts(source, keep_times=scores is not None, ticks=ticks.add)
        except BadInput as bad:
            _fail(f"{counts}, {bad}")
        except UnicodeDecodeError:
            _fail(f"{counts} is not text in UTF-8")
        ticks.judging(len(table.brand))
        verdicts, row_scores = judge(table, settings, ticks=ticks.add)
        if scores is not None:
            try:
                write_scores(scores, table, row_scores)
            except OSError as error:
                _fail(f"cannot write {scores}: {error.strerror}")
    for verdict in verdicts:
        sys.stdout.write(json.dumps(_line(verdict, table.names), ensure_ascii=False) + "\n")


@contextmanager
def _no_collection() -> Iterator[None]:
    """Millions of short lists without a cycle among them: looking for cycles costs a third of the reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _settings(pages_per_month: float, sensitivity: str) -> Settings:
    if not 0 < pages_per_month <= 1000:
        _fail("--pages-per-month must be above 0 and at most 1000")
    if sensitivity not in get_args(Sensitivity):
        _fail(f"--sensitivity must be quiet, normal or loud, not {sensitivity!r}")
    return Settings(pages_per_month, cast(Sensitivity, sensitivity))


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"tocsin detect: {sentence}", err=True)
    raise typer.Exit(2)


def _open(path: str, stack: ExitStack) -> TextIO:
    if path == "-":
        return io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="")
    try:
        return stack.enter_context(Path(path).open(newline="", encoding="utf-8-sig"))
    except OSError as error:
        _fail(f"cannot read {path}: {error.strerror}")


def judge(
    table: Counts, settings: Settings, ticks: Ticks = lambda rows: None
) -> tuple[list[Verdict], NDArray[np.float64]]:
    """Verdicts sorted by time and brand, their brands being indices of table.names; a score for each row.

    Brands do not know of each other, and the compiled part lets go of the interpreter: each core takes some.
    """
    scores = np.zeros(len(table.brand))
    order = np.argsort(table.brand, kind="stable")
    edges = np.searchsorted(table.brand[order], np.arange(len(table.names) + 1))
    verdicts: list[Verdict] = []

    def judge_one(brand: int) -> tuple[int, list[Verdict]]:
        rows = order[edges[brand] : edges[brand + 1]]
        return len(rows), [replace(verdict, brand=brand) for verdict in _judge_brand(table, rows, settings, scores)]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for rows, found in pool.map(judge_one, range(len(table.names))):
            verdicts += found
            ticks(rows)
    verdicts.sort(key=lambda v: (v.end, table.names[v.brand]))
    return verdicts, scores


def _judge_brand(
    table: Counts, rows: NDArray[np.int64], settings: Settings, scores: NDArray[np.float64]
) -> list[Verdict]:
    """Verdicts about the brand whose rows these are; writes their scores."""
    state, verdicts = State.fresh(1), []
    for block in _blocks(table.time, rows):
        bins = (table.time[block] - table.time[block[0]]) // BIN_SECONDS
        state, found, block_scores = update(
            state,
            table.time[block[:1]],
            _dense(table.count, block, bins),
            None if table.total is None else _dense(table.total, block, bins),
            np.ones((1, bins[-1] + 1)) if table.exposure is None else _dense(table.exposure, block, bins),
            settings,
        )
        scores[block] = block_scores[0, bins]
        verdicts += found
    return verdicts


def _blocks(time: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """A brand's rows in pieces that span a bounded time, so that long gaps cost no memory."""
    times, at = time[rows], 0
    while at < len(rows):
        end = int(np.searchsorted(times, times[at] + BLOCK_BINS * BIN_SECONDS))
        yield rows[at:end]
        at = end


def _dense(column: NDArray[np.float64], rows: NDArray[np.int64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """[1, bins] with NaN where there is no row."""
    values = np.full((1, bins[-1] + 1), np.nan)
    values[0, bins] = column[rows]
    return values


def _line(verdict: Verdict, names: Sequence[str]) -> dict[str, object]:
    return {
        "brand": names[verdict.brand],
        "time": _iso(verdict.end),
        "kind": verdict.kind,
        "score": round(verdict.score, 4),
        "expected": round(verdict.expected, 4),
        "observed": verdict.observed,
        "ratio": round(verdict.ratio, 4),
        "since": _iso(verdict.since),
        "rule": verdict.rule,
        "reason": verdict.reason,
    }


def _iso(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Ticks:
    """A bar on stderr, and only when that is a terminal; rich is loaded only then."""

    def __init__(self, stack: ExitStack) -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,.0f}"),
                TimeElapsedColumn(),
            )
            self._bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
            self._task = self._bar.add_task("reading rows", total=None)

    def add(self, rows: int) -> None:
        if self._bar:
            self._bar.advance(self._task, rows)

    def judging(self, rows: int) -> None:
        if self._bar:
            self._bar.update(self._task, description="judging bins", total=rows, completed=0)
