"""A CSV file of counts per brand and 5-minute bin: read, checked line by line, and its scores written."""

import csv
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from alerting.detector import BIN_SECONDS

CHUNK = 4_000  # rows read at a time
REQUIRED = ("brand", "time", "count")
Ticks = Callable[[int], None]
"""Told how many rows were done."""


class BadInput(Exception):
    """A line of the file that cannot be judged; its text is what the user reads."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(f"line {line}: {sentence}")
        self.line = line


@dataclass
class Counts:
    """The file's columns in input order."""

    names: list[str] = field(default_factory=list)  # of the brands, in order of appearance
    brand: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    time: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    count: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    total: NDArray[np.float64] | None = None
    exposure: NDArray[np.float64] | None = None
    line: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    written: list[NDArray[np.bytes_]] = field(default_factory=list)  # times as given, kept only for --scores


def read_counts(source: TextIO, *, keep_times: bool = False, ticks: Ticks = lambda rows: None) -> Counts:
    """Reads and checks the whole file. BadInput names the first line that is wrong."""
    reader = csv.reader(source)
    try:
        header = next(reader, None)
        if header is None:
            raise BadInput(1, "the file is empty; a header brand,time,count is needed")
        columns = _columns(header)
        table, parts = Counts(), _Parts({})
        while rows := _rows(reader, parts):
            _read_chunk(rows, len(header), columns, parts, table, keep_times)
            ticks(len(rows))
    except csv.Error as error:
        raise BadInput(reader.line_num, f"is not CSV: {error}") from error
    parts.into(table)
    if table.exposure is not None:  # an empty cell says nothing against the count beside it
        table.exposure = np.nan_to_num(table.exposure, nan=1.0)
    _check_order(table)
    return table


def _columns(header: Sequence[str]) -> dict[str, int]:
    names = [name.strip() for name in header]
    columns = {name: names.index(name) for name in (*REQUIRED, "total", "exposure") if name in names}
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise BadInput(1, f"the header has no column {' and no column '.join(missing)}")
    twice = [name for name in columns if names.count(name) > 1]
    if twice:
        raise BadInput(1, f"the header names the column {twice[0]} twice")
    return columns


@dataclass
class _Parts:
    """Columns of the chunks read so far."""

    codes: dict[str, int]
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)

    def add(self, name: str, values: NDArray[Any]) -> None:
        self.columns.setdefault(name, []).append(values)

    def into(self, table: Counts) -> None:
        table.names = list(self.codes)
        for name, parts in self.columns.items():
            setattr(table, name, np.concatenate(parts))


def _rows(reader: Any, parts: _Parts) -> list[list[str]]:
    """The next rows; their line numbers go to parts. Quoted fields may hold line breaks, so lines are counted by csv."""
    while True:
        before = reader.line_num
        rows = list(islice(reader, CHUNK))
        if reader.line_num - before == len(rows):
            lines = np.arange(before + 1, before + 1 + len(rows))
        else:  # a quoted field spans lines; its row is known by the line on which the chunk began or later
            lines = before + np.cumsum([1 + sum(cell.count("\n") for cell in row) for row in rows])
        kept = [i for i, row in enumerate(rows) if row]
        if kept:
            parts.add("line", lines[kept])
        if kept or not rows:
            return [rows[i] for i in kept]


def _read_chunk(
    rows: list[list[str]], width: int, columns: dict[str, int], parts: _Parts, table: Counts, keep_times: bool
) -> None:
    lines = parts.columns["line"][-1]
    if set(map(len, rows)) != {width}:
        at = next(i for i, row in enumerate(rows) if len(row) != width)
        raise BadInput(int(lines[at]), f"has {len(rows[at])} fields, the header has {width}")
    cells = list(zip(*rows, strict=True))
    brands, times = cells[columns["brand"]], cells[columns["time"]]
    codes = parts.codes
    for name in dict.fromkeys(brands):
        codes.setdefault(name, len(codes))
    parts.add("brand", np.array(list(map(codes.__getitem__, brands)), np.int64))
    if "" in codes:
        raise BadInput(int(lines[brands.index("")]), "the brand is empty")
    parts.add("time", _numbers(_times, _time, times, lines, "time").astype(np.int64))
    for name in columns.keys() - {"brand", "time"}:
        one = partial(_float, most=_MOST[name])
        parts.add(name, _numbers(_floats, one, cells[columns[name]], lines, name))
    if keep_times:
        table.written.append(np.array(times, dtype=np.bytes_))


def _numbers(
    many: Callable[[Sequence[str]], NDArray[Any]],
    one: Callable[[str], float],
    cells: Sequence[str],
    lines: NDArray[np.int64],
    name: str,
) -> NDArray[Any]:
    """A column at once; when that fails, cell by cell to find the first bad line."""
    try:
        values = many(cells)
        if not ((values < 0) | (values > _MOST[name])).any():
            return values
    except (ValueError, OverflowError):
        pass
    found = []
    for cell, line in zip(cells, lines, strict=True):
        try:
            found.append(one(cell))
        except (ValueError, OverflowError):
            raise BadInput(int(line), f"{_WANTED[name]}, not {cell!r}") from None
    return np.array(found)


_MOST = {"time": 253_370_764_800.0, "count": sys.float_info.max, "total": sys.float_info.max, "exposure": 1.0}
_WANTED = {
    "time": "time must be an ISO 8601 time in UTC, in whole seconds from 1970 on, such as 2026-01-05T00:05:00Z",
    "count": "count must be a number of at least 0, or empty",
    "total": "total must be a number of at least 0, or empty",
    "exposure": "exposure must be a number from 0 to 1",
}


def _floats(cells: Sequence[str]) -> NDArray[np.float64]:
    """Empty cells are NaN; the text "nan" is an error."""
    empty = cells.count("")
    values = np.array(list(map(float, [cell or "nan" for cell in cells] if empty else cells)))
    if np.count_nonzero(np.isnan(values)) != empty:
        raise ValueError
    return values


def _float(cell: str, most: float) -> float:
    if not cell.strip():
        return math.nan
    value = float(cell)
    if not 0 <= value <= most:
        raise ValueError
    return value


def _times(cells: Sequence[str]) -> NDArray[np.int64]:
    """Seconds since the epoch of a column written like 2026-01-05T00:05:00Z, without an object for each."""
    text = np.array(cells, np.bytes_)
    if text.dtype.itemsize != 20:
        raise ValueError
    letters = text.view(np.uint8).reshape(-1, 20)
    digits = letters[:, _DIGITS]
    if not ((letters[:, _MARKS] == _MARK_LETTERS).all() and ((digits >= 48) & (digits <= 57)).all()):
        raise ValueError
    return text.astype("S19").astype("datetime64[s]").astype(np.int64)


_MARKS = np.array([4, 7, 10, 13, 16, 19])
_MARK_LETTERS = np.frombuffer(b"--T::Z", np.uint8)
_DIGITS = np.setdiff1d(np.arange(20), _MARKS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(cell: str) -> int:
    """Any ISO 8601 time in whole seconds; without a zone it is UTC."""
    moment = datetime.fromisoformat(cell)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if since.microseconds or not 0 <= seconds <= _MOST["time"]:
        raise ValueError
    return seconds


def _check_order(table: Counts) -> None:
    """Rows are sorted by time, or brand after brand; each brand keeps to one grid and names no bin twice."""
    if not len(table.brand):
        return
    order = np.argsort(table.brand, kind="stable")
    brand, time = table.brand[order], table.time[order]
    first = np.concatenate([[True], brand[1:] != brand[:-1]])
    step = np.where(first, BIN_SECONDS, np.diff(time, prepend=time[:1]))
    origin = time[first][np.cumsum(first) - 1]
    faults = [
        (order[step == 0], "a second row for this brand and bin"),
        (order[step < 0], "the row is earlier than the one before it of the same brand; sort by time"),
        (
            order[(time - origin) % BIN_SECONDS != 0],
            "the time is off this brand's grid of 5 minutes, which its first row sets",
        ),
        (_unsorted(table), "rows are sorted neither by time nor by brand and time"),
    ]
    worst = min(((int(rows.min()), sentence) for rows, sentence in faults if len(rows)), default=None)
    if worst:
        raise BadInput(int(table.line[worst[0]]), worst[1])


def _unsorted(table: Counts) -> NDArray[np.int64]:
    """The row at which both orders are broken. Grids differ by less than a bin, so less than a bin back is no disorder."""
    back = np.flatnonzero(table.time < np.maximum.accumulate(table.time) - BIN_SECONDS + 1)
    starts = np.flatnonzero(np.diff(table.brand, prepend=-1) != 0)
    resumed = np.delete(starts, np.unique(table.brand[starts], return_index=True)[1])
    if not len(back) or not len(resumed):
        return np.zeros(0, np.int64)
    return np.array([max(back[0], resumed[0])])


def write_scores(path: Path, table: Counts, scores: NDArray[np.float64]) -> None:
    """brand,time,score for each input row, in input order, times as they were given."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("brand", "time", "score"))
        at = 0
        for times in table.written:
            part = slice(at, at + len(times))
            brands = [table.names[code] for code in table.brand[part].tolist()]
            writer.writerows(
                zip(brands, times.astype(str).tolist(), [f"{s:.4f}" for s in scores[part].tolist()], strict=True)
            )
            at += len(times)
