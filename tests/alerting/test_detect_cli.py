"""`tocsin detect` on files: its contract, its errors, its promises about what it prints."""

import csv
import json
from datetime import UTC, datetime

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from services.cli.detect import detect

DAY = 288
MONDAY = 1_767_571_200
app = typer.Typer()
app.command()(detect)


def run(tmp_path, text, *options):
    """Exit code, verdicts, stderr."""
    file = tmp_path / "counts.csv"
    file.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, [str(file), *options])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def iso(time):
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def series(days, rate, seed, onset, times=10):
    """Counts with a crisis of 12 h."""
    mean = np.full(days * DAY, rate)
    mean[onset : onset + 144] *= times
    return np.random.default_rng(seed).poisson(mean)


BRANDS = {
    "Kometa": (MONDAY + 43, series(12, 3.0, 1, 9 * DAY)),
    "Żubr, Ltd": (MONDAY + 107, series(12, 8.0, 2, 10 * DAY)),
}


def rows(until=12 * DAY):
    """(brand, time, count) in order of time; every 50th row is missing."""
    return [
        (brand, iso(start + 300 * t), str(int(counts[t])))
        for t in range(until)
        for brand, (start, counts) in BRANDS.items()
        if t % 50
    ]


def text_of(rows, header="brand,time,count"):
    lines = [",".join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows]
    return "\n".join([header, *lines]) + "\n"


def test_pages_and_closes_are_printed_in_order_with_all_keys(tmp_path):
    code, verdicts, stderr = run(tmp_path, text_of(rows()))
    assert (code, stderr) == (0, "")
    assert [(v["brand"], v["kind"]) for v in verdicts if v["kind"] != "burst"] == [
        ("Kometa", "page"), ("Kometa", "close"), ("Żubr, Ltd", "page"), ("Żubr, Ltd", "close"),
    ]  # fmt: skip
    keys = ["brand", "time", "kind", "score", "expected", "observed", "ratio", "since", "rule", "reason"]
    assert all(list(v) == keys for v in verdicts)
    assert [v["time"] for v in verdicts] == sorted(v["time"] for v in verdicts)
    page = next(v for v in verdicts if v["kind"] == "page")
    assert iso(MONDAY + 43 + 9 * 86_400) < page["time"] < iso(MONDAY + 43 + 9 * 86_400 + 3600)
    assert (datetime.fromisoformat(page["time"]).timestamp() - MONDAY - 43) % 300 == 0


def test_both_orders_and_any_columns_say_the_same(tmp_path):
    by_time = run(tmp_path, text_of(rows()))
    by_brand = run(tmp_path, text_of(sorted(rows(), key=lambda row: row[0])))
    turned = text_of([(row[2], "x", row[1], row[0]) for row in rows()], "count,remark,time,brand")
    assert by_brand == by_time
    assert run(tmp_path, turned) == by_time


def test_an_empty_count_is_a_missing_row(tmp_path):
    given = rows()
    gap = [row for i, row in enumerate(given) if i % 40]
    empty = [row if i % 40 else (row[0], row[1], "") for i, row in enumerate(given)]
    assert run(tmp_path, text_of(empty)) == run(tmp_path, text_of(gap))


def test_scores_are_a_row_for_each_row_as_given(tmp_path):
    given = [
        (brand, time.replace("Z", "+00:00") if i % 3 else time, count) for i, (brand, time, count) in enumerate(rows())
    ]
    out = tmp_path / "scores.csv"
    _, verdicts, _ = run(tmp_path, text_of(given), "--scores", str(out))
    with out.open(newline="", encoding="utf-8") as file:
        header, *scored = csv.reader(file)
    assert header == ["brand", "time", "score"]
    assert [row[:2] for row in scored] == [[brand, time] for brand, time, _ in given]
    page = next(v for v in verdicts if v["kind"] == "page")
    start = datetime.fromisoformat(page["time"]).timestamp() - 300
    mine = [float(s) for b, t, s in scored if b == page["brand"] and datetime.fromisoformat(t).timestamp() == start]
    assert mine == [page["score"]]


def test_it_only_looks_back(tmp_path):
    everything = run(tmp_path, text_of(rows()))[1]
    cut = run(tmp_path, text_of(rows(until=10 * DAY)))[1]
    end = iso(MONDAY + 43 + 10 * 86_400)
    assert cut == [v for v in everything if v["time"] <= end]
    assert cut


def test_weeks_without_rows_are_gaps(tmp_path):
    given = [row for row in rows() if not iso(MONDAY + 3 * 86_400) < row[1] < iso(MONDAY + 4 * 86_400)]
    later = [(b, iso(int(datetime.fromisoformat(t).timestamp()) + 3000 * 86_400), c) for b, t, c in rows()]
    code, verdicts, _ = run(tmp_path, text_of(given + later))
    assert code == 0
    assert sum(v["kind"] == "page" for v in verdicts) == 4


def test_a_byte_order_mark_on_stdin_and_very_many_blank_lines():
    rows = "brand,time,count\n" + "\n" * 2_000_000 + f"a,{T0},1\n"
    assert CliRunner().invoke(app, ["-"], input=b"\xef\xbb\xbf" + rows.encode()).exit_code == 0


def test_stdin_and_totals_and_exposure(tmp_path):
    text = text_of([(*row, "60", "0.5") for row in rows()], "brand,time,count,total,exposure")
    file = tmp_path / "counts.csv"
    file.write_text(text)
    from_file = CliRunner().invoke(app, [str(file)])
    from_stdin = CliRunner().invoke(app, ["-"], input=text)
    assert from_file.exit_code == from_stdin.exit_code == 0
    assert from_file.stdout == from_stdin.stdout != ""


def test_louder_says_more(tmp_path):
    pages = {}
    for sensitivity in ("quiet", "normal", "loud"):
        out = run(tmp_path, text_of(rows()), "--sensitivity", sensitivity)
        pages[sensitivity] = next(v["time"] for v in out[1] if v["kind"] == "page")
    assert pages["loud"] <= pages["normal"] <= pages["quiet"]


def test_nothing_in_nothing_out(tmp_path):
    assert run(tmp_path, "brand,time,count\n") == (0, [], "")


T0, T1, T2 = iso(MONDAY), iso(MONDAY + 300), iso(MONDAY + 600)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("brand,time\na,b\n", 1, "no column count"),
        ("brand,time,count,count\n", 1, "twice"),
        (f"brand,time,count\na,{T0},1\na,{T1}\n", 3, "fields"),
        (f"brand,time,count\na,{T0},1\na,{T1},-1\n", 3, "at least 0"),
        (f"brand,time,count\na,{T0},1\na,{T1},many\n", 3, "number"),
        (f"brand,time,count\na,{T0},1\na,{T1},nan\na,{T2},\n", 3, "number"),
        (f"brand,time,count\na,{T0},1\na,{T1},inf\n", 3, "number"),
        (f"brand,time,count\na,{T0},1\na,yesterday,1\n", 3, "ISO 8601"),
        (f"brand,time,count\na,{T0},1\na,2026-13-05T00:05:00Z,1\n", 3, "ISO 8601"),
        ("brand,time,count\na,1969-12-31T23:55:00Z,1\n", 2, "from 1970 on"),
        (f"brand,time,count\na,{T0},1\n\na,{T0},1\n", 4, "second row"),
        (f"brand,time,count\na,{T1},1\na,{T0},1\n", 3, "earlier"),
        (f"brand,time,count\na,{T0},1\nb,{T2},1\na,{T1},1\n", 4, "neither"),
        (f"brand,time,count\na,{T0},1\na,{iso(MONDAY + 301)},1\n", 3, "grid"),
        (f"brand,time,count\n,{T0},1\n", 2, "brand is empty"),
        (f"brand,time,count,exposure\na,{T0},1,1\na,{T1},1,1.01\n", 3, "exposure"),
        (f"brand,time,count,exposure\na,{T0},1,-.1\n", 2, "exposure"),
        (f"brand,time,count,total\na,{T0},1,x\n", 2, "total"),
    ],
)
def test_bad_lines_stop_it_with_one_sentence(tmp_path, text, line, words):
    code, verdicts, stderr = run(tmp_path, text)
    assert code == 2
    assert not verdicts
    assert len(stderr.splitlines()) == 1
    assert f"line {line}:" in stderr
    assert words in stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "cannot read nowhere.csv"),
        (["-", "--sensitivity", "shrill"], "quiet, normal or loud"),
        (["-", "--pages-per-month", "0"], "above 0"),
        (["-", "--scores", "/nowhere/scores.csv"], "cannot write /nowhere/scores.csv"),
    ],
)
def test_wrong_arguments(arguments, words):
    result = CliRunner().invoke(app, arguments, input=f"brand,time,count\na,{T0},1\n")
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_file_that_is_not_text(tmp_path):
    file = tmp_path / "counts.csv"
    file.write_bytes(b"brand,time,count\n\xff\xfe,x,1\n")
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == 2
    assert "UTF-8" in result.stderr
