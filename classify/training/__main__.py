"""`python -m classify.training`: from the data to the shipped artefact, one stage after the other, resumable."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from classify.training import sets

app = typer.Typer(no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
HOME = Path(os.environ.get("TOCSIN_TRAINING", Path.home() / ".cache" / "tocsin" / "training"))
LANGUAGES = (
    "pl", "ru", "tr", "en", "de", "fr", "es", "it", "pt", "nl", "uk", "cs", "sk", "ro", "hu", "sr", "bg", "el", "sv",
    "no", "da", "fi", "ar", "he", "fa", "hi", "id", "vi", "th", "ko", "ja", "zh",
)  # fmt: skip

Data = Annotated[Path, typer.Option(help="Folder with the public sets, *.jsonl.gz.")]
Seed = Annotated[int, typer.Option(help="Seed of every random choice.")]


@app.command()
def vocabulary(
    base: Annotated[str, typer.Option(help="Checkpoint to begin with: a path, or intfloat/multilingual-e5-small.")],
    data: Data,
    size: Annotated[int, typer.Option(help="Pieces to keep.")] = 96_000,
) -> None:
    """Trim the vocabulary to the promised languages (needs the wordfreq package for its word lists)."""
    import wordfreq

    from classify.training.vocabulary import trim

    texts = [row.text for path in sorted(data.glob("*.jsonl.gz")) if "african" not in path.name
             for _, row in sets.read_set(path)]  # fmt: skip
    texts += [row.text for rows in sets.own() for row in rows] * 2
    words: Counter[str] = Counter()
    for language in LANGUAGES:
        code = {"no": "nb", "sr": "sh"}.get(language, language)
        for place, word in (
            enumerate(wordfreq.top_n_list(code, 60_000), 1) if code in wordfreq.available_languages() else ()
        ):
            words[word] += 10_000_000 // (place + 20)
    HOME.mkdir(parents=True, exist_ok=True)
    rows = trim(Path(base) / "tokenizer.json", texts, words, size, HOME / "tokenizer.json.gz")
    (HOME / "rows.json").write_text(json.dumps(rows))
    typer.echo(f"{len(rows)} pieces in {HOME / 'tokenizer.json.gz'}")


@app.command()
def train(
    base: Annotated[str, typer.Option(help="Checkpoint to begin with.")],
    data: Data,
    name: Annotated[str, typer.Option(help="Folder of this run, under TOCSIN_TRAINING.")] = "judge",
    seed: Seed = 1,
    layers: Annotated[str, typer.Option(help="Layers of the base to keep, the first is 0.")] = "0-11",
    rate: Annotated[float, typer.Option(help="Highest learning rate of the encoder.")] = 1e-4,
    own_times: Annotated[int, typer.Option(help="How often each mention of our own is seen.")] = 3,
    beside: Annotated[float, typer.Option(help="Share of targets named beside the text, not marked in it.")] = 0.15,
) -> None:
    """Fine-tune the encoder and its three heads; run it again to go on where it stopped."""
    from classify.encode import load_tokenizer
    from classify.training.network import from_base
    from classify.training.train import fit, prepare

    folder = HOME / name
    folder.mkdir(parents=True, exist_ok=True)
    rows = sets.mixed(data, seed, own_times, beside)
    typer.echo(f"{len(rows)} rows")
    judge = from_base(base, json.loads((HOME / "rows.json").read_text()), numbers(layers))
    fit(judge, prepare(load_tokenizer(HOME / "tokenizer.json.gz"), rows), folder, epochs=1, rate=rate, seed=seed)


def numbers(ranges: str) -> list[int]:
    """`0-3,7` -> [0, 1, 2, 3, 7]."""
    out: list[int] = []
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        out += range(int(first), int(last or first) + 1)
    return out


@app.command()
def ship(
    data: Data,
    version: Annotated[str, typer.Option(help="Version of the artefact.")],
    begin: Annotated[str, typer.Option(help="Name of the run to ship.")] = "judge",
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("classify/bundle"),
) -> None:
    """Export, quantise, calibrate on held-back rows, write the artefact."""
    import random
    import shutil

    from classify.bundled import Bundled
    from classify.training import calibrate, export
    from classify.training import measure as measure_
    from classify.training.network import load

    out.mkdir(parents=True, exist_ok=True)
    judge = load(HOME / begin / "model.pt")
    export.export_fp32(judge, HOME / begin / "fp32.onnx")
    export.quantise(HOME / begin / "fp32.onnx", out / "model.onnx")
    shutil.copy(HOME / "tokenizer.json.gz", out / "tokenizer.json.gz")
    export.write_card(out, {"name": f"tocsin-{version}", "temperature": {"text": 1.0, "target": 1.0}, "threshold": 0.0})
    _, back = sets.public(data, 1)
    random.Random(7).shuffle(back)
    card = calibrate.calibrate(Bundled(out), back[:4_000])
    export.write_card(out, {"name": f"tocsin-{version}", **card})
    model = Bundled(out)
    about = [row for row in back if row.span or row.beside][:4_000]
    matrix = measure_.confusion(about, model.answer(measure_.questions(about, with_target=True)))
    (out / "confusion.json").write_text(json.dumps(matrix, indent=1) + "\n", encoding="utf-8")
    typer.echo(json.dumps(card))


@app.command()
def measure(
    data: Data,
    evaluation: Annotated[Path, typer.Option(help="Folder with the sets to measure on.")],
    folder: Annotated[Path, typer.Option(help="The artefact.")] = Path("classify/bundle"),
    most: Annotated[int, typer.Option(help="Rows per set.")] = 1_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here, too.")] = None,
) -> None:
    """Print macro-F1 per set and language, coverage and accuracy, calibration."""
    from dataclasses import asdict

    from classify.bundled import Bundled
    from classify.training import measure as m

    found = m.measure(Bundled(folder), m.everything(evaluation, data, most))
    for f in found.figures:
        typer.echo(
            f"{f.name:46} {f.language:4} {f.rows:5}  F1 {f.macro_f1:.3f}  sure {f.coverage:.2f}  right {f.accuracy:.3f}"
        )
    typer.echo()
    for name, value in found.summary():
        typer.echo(f"{name:55} {value:.3f}")
    if json_file:
        figures = [asdict(f) for f in found.figures]
        json_file.write_text(json.dumps({"figures": figures, "summary": dict(found.summary())}, indent=1))


if __name__ == "__main__":
    app()
