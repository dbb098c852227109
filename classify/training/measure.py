"""Macro-F1 per set and language, coverage and accuracy at the threshold, calibration - of the artefact as it ships."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from classify.bundled import Bundled
from classify.model import Answer, Question
from classify.sentiment import LABELS
from classify.training.sets import Row, own, read_set

BINS = 10


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    language: str
    rows: int
    macro_f1: float
    coverage: float
    accuracy: float
    """Over the rows that were not `unsure`."""


def questions(rows: Sequence[Row], *, with_target: bool) -> list[Question]:
    """What the model is asked about each row."""
    if not with_target:
        return [Question(row.text) for row in rows]
    return [Question(row.text, (row.span,) if row.span else (), row.beside) for row in rows]


def macro_f1(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that the truth has."""
    scores = []
    for label in np.unique(truth):
        hit = float(((guess == label) & (truth == label)).sum())
        scores.append(2 * hit / max(1.0, float((guess == label).sum() + (truth == label).sum())))
    return float(np.mean(scores))


def probabilities(answers: Sequence[Answer]) -> NDArray[np.float64]:
    """[rows, 3]."""
    return np.array([[getattr(a.sentiment, label) for label in LABELS] for a in answers])


def figure(name: str, language: str, rows: Sequence[Row], answers: Sequence[Answer]) -> Figure:
    """Figures of one set in one language."""
    truth = np.array([row.label for row in rows])
    guess = probabilities(answers).argmax(-1)
    sure = np.array([a.label != "unsure" for a in answers])
    right = float((guess == truth)[sure].mean()) if sure.any() else float("nan")
    return Figure(name, language, len(rows), macro_f1(truth, guess), float(sure.mean()), right)


def expected_calibration_error(shares: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Mean gap between confidence and accuracy over ten equal bins (Guo et al. 2017)."""
    confidence, guess = shares.max(-1), shares.argmax(-1)
    gap = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence > low) & (confidence <= low + 1 / BINS)
        if inside.any():
            gap += inside.mean() * abs(confidence[inside].mean() - (guess == truth)[inside].mean())
    return float(gap)


def read_folder(folder: Path, most: int, seed: int = 0) -> dict[str, list[Row]]:
    """Sets by name, at most `most` rows each, drawn with a seed."""
    out = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        rows = [row for _, row in read_set(path)]
        random.Random(seed).shuffle(rows)
        if rows:
            out[path.name.removesuffix(".jsonl.gz")] = rows[:most]
    return out


def measure(model: Bundled, sets: dict[str, list[Row]]) -> tuple[list[Figure], float]:
    """Figures per set and language, and the calibration error over everything."""
    figures: list[Figure] = []
    shares: list[NDArray[np.float64]] = []
    truths: list[int] = []
    for name, rows in track(sets.items(), description="measuring"):
        variants = [("", True)] + [(" (whole text)", False)] * any(row.span or row.beside for row in rows)
        for suffix, with_target in variants:
            answers = model.answer(questions(rows, with_target=with_target))
            by_language: dict[str, list[int]] = defaultdict(list)
            for i, row in enumerate(rows):
                by_language[row.language].append(i)
            for language, places in sorted(by_language.items()):
                figures.append(figure(name + suffix, language, [rows[i] for i in places], [answers[i] for i in places]))
            if with_target:
                shares.append(probabilities(answers))
                truths += [row.label for row in rows]
    return figures, expected_calibration_error(np.concatenate(shares), np.array(truths))


def everything(evaluation: Path, training: Path, most: int) -> dict[str, list[Row]]:
    """The sets of the evaluation folder, UMSAB's validation files, and our own mentions that were set aside."""
    sets = read_folder(evaluation, most)
    sets["umsab_xlmt.val"] = [row for _, row in read_set(training / "umsab_xlmt.val.jsonl.gz")]
    sets["own mentions set aside"] = own()[1]
    return sets
