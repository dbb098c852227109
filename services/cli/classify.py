"""`tocsin classify`: the model on texts of your own."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from services.cli.console import progress_bar

TOGETHER = 64
"""Lines that are read before they are computed."""
LONGEST_LINE = 4 << 20
"""Bytes of a line; a longer one gets an `error`."""
SEPARATORS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}
"""Written escaped: some readers end a line at them."""


class BadLine(Exception):
    """A line that cannot be judged; its message is what the user reads.

    Args:
        row: the keys of the line, as far as it could be read.
    """

    def __init__(self, message: str, row: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.row = row or {}


def classify(
    file: Annotated[
        Path | None, typer.Argument(help="JSON Lines to read; without it, standard input.", show_default=False)
    ] = None,
    model: Annotated[
        str, typer.Option(help="`bundled`, or a Hugging Face name or folder (needs `tocsin[transformer]`).")
    ] = "bundled",
) -> None:
    """Say what each text says about its target, or as a whole.

    One line in, one line out, in order; the keys of the line are kept.

    In: `text`, and if you like `target` (a name, or a list of names: found in any case or form; not found, it is given
    to the model beside the text), `target_span` ([start, end] in characters), `lang`.

    Out: `language`, `sentiment` {negative, neutral, positive} (they sum to 1), `label` (negative, neutral, positive or
    unsure), `model`; they replace keys of the same name. A bad line gets `error`, and the exit code is 1.

    Example: echo '{"text": "Kometa lied to me", "target": "Kometa"}' | tocsin classify
    """
    from classify.language import Languages
    from services.models import open_model

    source = file.open("rb") if file else sys.stdin.buffer
    chosen, languages = open_model(model), Languages()
    out = sys.stdout.buffer
    done = bad = 0
    with progress_bar("classifying", file.stat().st_size if file else None) as advance:
        for lines, size in _portions(source):
            for answer in _answers(chosen, languages, lines, done + 1):
                bad += "error" in answer and "label" not in answer
                out.write(_written(answer))
            out.flush()
            done += len(lines)
            advance(size)
    if bad:
        typer.echo(f"{bad} of {done} lines could not be read; each has an `error` in the output.", err=True)
        raise typer.Exit(1)


def _portions(source: BinaryIO) -> Iterator[tuple[list[bytes | None], int]]:
    """Lines in portions, with their size in bytes; only the newline character ends a line. None: it was too long."""
    portion: list[bytes | None] = []
    size = 0
    while line := source.readline(LONGEST_LINE + 1):
        size += len(line)
        portion.append(line if len(line) <= LONGEST_LINE else None)
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = source.readline(LONGEST_LINE + 1)
            size += len(line)
        if len(portion) == TOGETHER or size > LONGEST_LINE:
            yield portion, size
            portion, size = [], 0
    if portion:
        yield portion, size


def _answers(model: Any, languages: Any, lines: list[bytes | None], first: int) -> Iterator[dict[str, Any]]:
    rows = [_question(line, number) for number, line in enumerate(lines, first)]
    answers = iter(model.answer([question for _, question in rows if question is not None]))
    for row, question in rows:
        if question is None:
            yield row
            continue
        answer = next(answers)
        claim = row.get("lang")
        language = languages.of(question.text, claim if isinstance(claim, str) else None)
        readable = language != "und" or languages.readable(question.text)
        sentiment = answer.sentiment
        shares = {"negative": sentiment.negative, "neutral": sentiment.neutral, "positive": sentiment.positive}
        row.pop("error", None)
        label = answer.label if readable else "unsure"
        yield {**row, "language": language, "sentiment": shares, "label": label, "model": model.name}


def _question(line: bytes | None, number: int) -> tuple[dict[str, Any], Any]:
    """The line's own keys and its question; or, with `error` and without what an answer has, None."""
    try:
        row = _row(line)
        return row, _asked(row)
    except BadLine as fault:
        kept = {key: value for key, value in fault.row.items() if key not in ("error", "label")}
        return {**kept, "error": f"Line {number}: {fault}"}, None


def _row(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise BadLine(f"This line is longer than {LONGEST_LINE >> 20} MB. Cut the text.")
    if not line.strip():
        raise BadLine('This line is empty. Write {"text": "..."}.')
    try:
        row = json.loads(line.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError as fault:
        raise BadLine(f"This line is not UTF-8 (byte {fault.start + 1}). Save the file as UTF-8.") from fault
    except RecursionError as fault:
        raise BadLine("This line is nested too deeply.") from fault
    except ValueError as fault:
        raise BadLine(f"This line is not JSON: {fault}.") from fault
    if not isinstance(row, dict):
        raise BadLine('This line is not a JSON object. Write {"text": "..."}.')
    return row


def _asked(row: dict[str, Any]) -> Any:
    from classify.model import Question
    from classify.target import find

    text, span, target = row.get("text"), row.get("target_span"), row.get("target")
    if not isinstance(text, str):
        raise BadLine("This line has no `text`, or it is not a string.", row)
    if span is not None:
        if not _is_span(span, len(text)):
            raise BadLine("`target_span` has to be [start, end] in characters of `text`, start before end.", row)
        return Question(text, ((span[0], span[1]),))
    names = [target] if isinstance(target, str) else target if target is not None else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadLine("`target` has to be a name or a list of names.", row)
    names = [name for name in names if name.strip()]
    spans = find(text, names)
    return Question(text, spans, names[0] if names and not spans else None)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:30]} is too large")
    return value


def _is_span(span: Any, length: int) -> bool:
    return (
        isinstance(span, list)
        and len(span) == 2
        and all(type(place) is int for place in span)
        and 0 <= span[0] < span[1] <= length
    )


def _written(row: dict[str, Any]) -> bytes:
    """As it is read best; half a surrogate pair can only be written escaped."""
    try:
        return (json.dumps(row, ensure_ascii=False).translate(SEPARATORS) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(row) + "\n").encode()
