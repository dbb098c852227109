"""`tocsin classify`: the model on texts of your own."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from services.cli.console import progress_bar

TOGETHER = 64
"""Lines that are read before they are computed."""


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
    unsure), `model`. A bad line gets `error`, and the command ends with exit code 1.

    Example: echo '{"text": "Kometa lied to me", "target": "Kometa"}' | tocsin classify
    """
    from classify.language import Languages
    from services.models import open_model

    chosen = open_model(model)
    languages = Languages()
    source = file.open("rb") if file else sys.stdin.buffer
    total = file.stat().st_size if file else None
    bad = 0
    with progress_bar("classifying", total) as advance:
        for lines in _portions(source):
            for answer in _answers(chosen, languages, lines):
                bad += "error" in answer
                _write(sys.stdout, answer)
            advance(sum(len(line) for line in lines))
    sys.stdout.flush()
    if bad:
        typer.echo(f"{bad} of the lines could not be read; each has an `error` in the output.", err=True)
        raise typer.Exit(1)


def _portions(source: Any) -> Iterator[list[bytes]]:
    """Lines in portions; only the newline character ends a line."""
    portion: list[bytes] = []
    for line in source:
        portion.append(line)
        if len(portion) == TOGETHER:
            yield portion
            portion = []
    if portion:
        yield portion


def _answers(model: Any, languages: Any, lines: list[bytes]) -> list[dict[str, Any]]:
    from classify.model import Question

    rows = [_read(line) for line in lines]
    questions = [q for _, q in rows if isinstance(q, Question)]
    answers = iter(model.answer(questions))
    out = []
    for row, question in rows:
        if isinstance(question, str):
            out.append({**row, "error": question})
            continue
        answer = next(answers)
        claim = row.get("lang")
        language = languages.of(question.text, claim if isinstance(claim, str) else None)
        readable = language != "und" or languages.readable(question.text)
        sentiment = answer.sentiment
        out.append(
            {
                **row,
                "language": language,
                "sentiment": {
                    "negative": sentiment.negative,
                    "neutral": sentiment.neutral,
                    "positive": sentiment.positive,
                },
                "label": answer.label if readable else "unsure",
                "model": model.name,
            }
        )
    return out


def _read(line: bytes) -> tuple[dict[str, Any], Any]:
    """-> (the line's own keys, its question or what is wrong with it)."""
    from classify.model import Question
    from classify.target import find

    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as fault:
        return {}, f"This line is not JSON: {fault}."
    if not isinstance(row, dict):
        return {}, 'This line is not a JSON object: write {"text": ...}.'
    text = row.get("text")
    if not isinstance(text, str):
        return row, "This line has no `text`, or it is not a string."
    span = row.get("target_span")
    if span is not None:
        if not _is_span(span, len(text)):
            return row, "`target_span` has to be [start, end] in characters of `text`, start before end."
        return row, Question(text, ((span[0], span[1]),))
    target = row.get("target")
    names = [target] if isinstance(target, str) else target if target is not None else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return row, "`target` has to be a name or a list of names."
    names = [name for name in names if name.strip()]
    spans = find(text, names)
    return row, Question(text, spans, names[0] if names and not spans else None)


def _is_span(span: Any, length: int) -> bool:
    return (
        isinstance(span, list)
        and len(span) == 2
        and all(type(place) is int for place in span)
        and 0 <= span[0] < span[1] <= length
    )


def _write(out: TextIO, row: dict[str, Any]) -> None:
    """As it is read best; half a surrogate pair can only be written escaped."""
    line = json.dumps(row, ensure_ascii=False)
    try:
        out.write(line + "\n")
    except UnicodeEncodeError:
        out.write(json.dumps(row) + "\n")
