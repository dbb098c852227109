"""`tocsin classify` as a process: one line in, one line out, whatever the line holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.classify import LONGEST_LINE

ADDED = ["language", "sentiment", "label", "model"]


def tocsin(*args: str, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from services.cli import main; main()", *args],
        input=given, capture_output=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def classify(*lines: str | bytes | dict, end: bytes = b"\n", **environment: str) -> tuple[list[dict], int, str]:
    """-> (what came out, exit code, standard error)."""
    raw = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    ran = tocsin("classify", given=b"\n".join(raw) + end, **environment)
    out = ran.stdout.decode("utf-8").split("\n")
    assert out.pop() == "", "the output ends with a newline"
    return [json.loads(line, parse_constant=pytest.fail) for line in out], ran.returncode, ran.stderr.decode()


def assert_judged(row: dict) -> None:
    assert sum(row["sentiment"].values()) == pytest.approx(1, abs=1e-9)
    assert list(row["sentiment"]) == ["negative", "neutral", "positive"]
    assert row["label"] in ("negative", "neutral", "positive", "unsure")
    assert row["model"]


def test_every_line_gets_its_answer_in_order_and_keeps_its_keys():
    given = [
        {"zeta": [1, {"deep": None}], "text": "Kometa lied to me and kept my money.", "id": "ä\u2028\x85", "target": "Kometa"},
        {"text": "Od trzech dni nikt nie odbiera telefonu, a paczki nie ma.", "target": ["Nikt taki", "telefon"], "n": 1.5},
        {"text": "Nobody answers the phone for three days.", "target": "Kometa", "big": 12345678901234567890},
        {"text": "Kometa ist großartig, das Paket kam am nächsten Tag.", "target_span": [0, 6], "lang": "de"},
        {"text": "", "lang": None}, {"text": "👍"}, {"text": "ሦስት ቀን ሙሉ ማንም ስልክ አላነሳም"}, {"text": "x", "target": []},
        *[{"text": f"Text number {i} about the weather of this week.", "i": i} for i in range(150)],
    ]  # fmt: skip
    rows, code, said = classify(*given)
    assert (code, said) == (0, "")
    assert len(rows) == len(given)
    for asked, row in zip(given, rows, strict=True):
        assert list(row) == [*asked, *ADDED]
        assert {key: row[key] for key in asked} == asked
        assert_judged(row)
    assert [row["language"] for row in rows[:4]] == ["en", "pl", "en", "de"]
    assert (rows[4]["label"], rows[6]["label"], rows[6]["language"]) == ("unsure", "unsure", "und")


def test_a_target_changes_the_answer():
    text = "Kometa lied to me and kept my money, so I moved to Lumivo, who are wonderful."
    rows, code, _ = classify(
        {"text": text, "target": "Kometa"}, {"text": text, "target": ["lumivo"]}, {"text": text, "target_span": [0, 6]},
        {"text": text}, {"text": text, "target": "Somebody"}, {"text": text, "target": " "},
    )  # fmt: skip
    assert code == 0
    marked, other, span, whole, beside, blank = (row["sentiment"] for row in rows)
    assert marked == span
    assert whole == blank
    assert len({tuple(answer.values()) for answer in (marked, other, whole, beside)}) == 4


BAD = {
    "empty": (b"", "is empty"),
    "blank": (b"  \t", "is empty"),
    "no JSON": (b"{", "not JSON"),
    "two values": (b'{"text": "a"} {"text": "b"}', "not JSON"),
    "not an object": (b'["text"]', "not a JSON object"),
    "not UTF-8": (b'{"text": "\xff\xfe"}', "not UTF-8"),
    "UTF-16": ('{"text": "a"}'.encode("utf-16"), "not UTF-8"),
    "NaN": (b'{"text": "a", "n": NaN}', "NaN"),
    "Infinity": (b'{"text": "a", "n": -Infinity}', "Infinity"),
    "a number without end": (b'{"text": "a", "n": 1e999}', "too large"),
    "digits without end": (b'{"text": "a", "n": ' + b"9" * 9_000 + b"}", "not JSON"),
    "deep": (b"[" * 200_000, "nested too deeply"),
    "no text": (b'{"id": 7}', "no `text`"),
    "a text that is a number": (b'{"text": 5, "id": 7}', "no `text`"),
    "a span of one": (b'{"text": "abc", "target_span": [1]}', "target_span"),
    "a span outside": (b'{"text": "abc", "target_span": [1, 4]}', "target_span"),
    "an empty span": (b'{"text": "abc", "target_span": [1, 1]}', "target_span"),
    "a span of truths": (b'{"text": "abc", "target_span": [false, true]}', "target_span"),
    "a target that is a number": (b'{"text": "abc", "target": 5}', "target"),
    "a list of numbers": (b'{"text": "abc", "target": ["a", 5]}', "target"),
    "huge": (b'{"text": "' + b"a" * LONGEST_LINE + b'"}', "longer than 4 MB"),
}


def test_bad_lines_get_an_error_and_the_rest_is_answered():
    lines: list[bytes] = []
    for line, _ in BAD.values():
        lines += [line, b'{"text": "All is well.", "error": "of another day"}']
    rows, code, said = classify(*lines)
    assert code == 1
    assert said.strip() == f"{len(BAD)} of {2 * len(BAD)} lines could not be read; each has an `error` in the output."
    for number, (name, (_, sentence)) in enumerate(BAD.items()):
        row = rows[2 * number]
        assert row["error"].startswith(f"Line {2 * number + 1}: "), name
        assert sentence in row["error"], name
        assert not set(row) & set(ADDED), name
        assert_judged(rows[2 * number + 1])
        assert "error" not in rows[2 * number + 1]
    assert rows[2 * list(BAD).index("no text")]["id"] == 7, "the keys of a line that could be read are kept"


def test_only_a_newline_ends_a_line_and_the_last_needs_none():
    raw = '{"text": "one\u2028two\u2029three\x85four \x0c"}'.replace("\x0c", "").encode()
    rows, code, _ = classify(raw, b'{"text": "windows"}\r', b'\xef\xbb\xbf{"text": "bom"}', {"text": "last"}, end=b"")
    assert code == 0
    assert [row["text"] for row in rows] == ["one\u2028two\u2029three\x85four ", "windows", "bom", "last"]
    ran = tocsin("classify", given=raw)
    assert len(ran.stdout.decode().splitlines()) == 1, "readers that end lines at such characters are spared them"


def test_half_a_surrogate_pair_comes_back_as_it_went_in():
    rows, code, _ = classify(b'{"text": "broken \\ud83d here", "\\udc00": 1}')
    assert code == 0
    assert rows[0]["text"] == "broken \ud83d here"
    assert rows[0]["\udc00"] == 1


def test_the_output_is_utf8_whatever_the_locale_says():
    rows, code, _ = classify({"text": "zażółć gęślą jaźń"}, PYTHONIOENCODING="latin-1", LC_ALL="C")
    assert (code, rows[0]["text"]) == (0, "zażółć gęślą jaźń")


def test_nothing_in_nothing_out():
    ran = tocsin("classify")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_a_file(tmp_path: Path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "All is well."}\n')
    ran = tocsin("classify", str(file))
    assert ran.returncode == 0
    assert_judged(json.loads(ran.stdout))


@pytest.mark.parametrize("args", [("no/such/file.jsonl",), ("--model", "no/such/checkpoint")], ids=["file", "model"])
def test_what_is_not_there_is_said_in_one_sentence(args):
    ran = tocsin("classify", *args, given=b'{"text": "a"}\n', HF_HUB_OFFLINE="1")
    assert ran.returncode == 1
    assert args[-1] in ran.stderr.decode()
    assert "Traceback" not in ran.stderr.decode()
    assert len(ran.stderr.decode().strip().splitlines()) == 1


def test_a_reader_that_leaves_early_is_no_mistake():
    process = subprocess.Popen(
        [sys.executable, "-c", "from services.cli import main; main()", "classify"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    try:
        process.stdin.write(b'{"text": "All is well."}\n' * 70)
        process.stdin.close()
    except BrokenPipeError:
        pass
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(60)


def test_the_help_teaches():
    ran = tocsin("classify", "--help", COLUMNS="160", TERM="dumb")
    assert ran.returncode == 0
    for word in (b"target_span", b"unsure", b"--model", b"Example"):
        assert word in ran.stdout
