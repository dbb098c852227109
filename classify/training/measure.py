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
POOLED = 1_000
WHOLE = " (whole text)"
UMSAB = "umsab_xlmt.val"
OWN_ASIDE = "own mentions set aside"


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


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was measured."""

    figures: list[Figure]
    shares: NDArray[np.float64]
    """[rows, 3], of the evaluation folder's sets as they are asked about."""
    truth: NDArray[np.int64]

    @property
    def calibration_error(self) -> float:
        """Over the sets of the evaluation folder, each with its target where it has one."""
        return expected_calibration_error(self.shares, self.truth)

    def accuracy_at(self, coverage: float) -> float:
        """Share of right labels among the surest rows."""
        surest = np.argsort(-self.shares.max(-1), kind="stable")[: round(len(self.truth) * coverage)]
        return float((self.shares.argmax(-1) == self.truth)[surest].mean())

    def mean(self, name: str = "", language: str = "", suffix: str = "") -> float:
        """Mean macro-F1 of the sets whose name begins so, in one language or in all."""
        found = [
            f.macro_f1
            for f in self.figures
            if f.name.startswith(name)
            and f.name.endswith(WHOLE) == (suffix == WHOLE)
            and (not language or (f.language == language and not f.name.startswith((OWN_ASIDE, UMSAB))))
        ]
        return float(np.mean(found)) if found else float("nan")

    def summary(self) -> list[tuple[str, float]]:
        """The figures that stand for all."""
        out = [("UMSAB validation, mean of 8 languages", self.mean(UMSAB))]
        out += [(f"{code}: mean of its sets", self.mean(language=code)) for code in ("pl", "ru", "tr")]
        out.append(("own mentions set aside, mean of languages", self.mean(OWN_ASIDE)))
        out.append(("the same without the target", self.mean(OWN_ASIDE, suffix=WHOLE)))
        for name in ("en_newsmtsc", "absa_semeval2016", "ru_sentirueval2016"):
            out += [(name, self.mean(name)), (name + WHOLE, self.mean(name, suffix=WHOLE))]
        out.append(("accuracy at 75 % coverage", self.accuracy_at(0.75)))
        out.append(("expected calibration error", self.calibration_error))
        return out


def measure(model: Bundled, sets: dict[str, list[Row]]) -> Measured:
    """Figures per set and language; calibration over at most 1,000 rows of each set of the evaluation folder."""
    figures: list[Figure] = []
    shares: list[NDArray[np.float64]] = []
    truths: list[int] = []
    for name, rows in track(sets.items(), description="measuring"):
        variants = [("", True)] + [(WHOLE, False)] * any(row.span or row.beside for row in rows)
        for suffix, with_target in variants:
            answers = model.answer(questions(rows, with_target=with_target))
            by_language: dict[str, list[int]] = defaultdict(list)
            for i, row in enumerate(rows):
                by_language[row.language].append(i)
            for language, places in sorted(by_language.items()):
                figures.append(figure(name + suffix, language, [rows[i] for i in places], [answers[i] for i in places]))
            if with_target and name not in (OWN_ASIDE, UMSAB):
                shares.append(probabilities(answers[:POOLED]))
                truths += [row.label for row in rows[:POOLED]]
    return Measured(figures, np.concatenate(shares), np.array(truths))


def confusion(rows: Sequence[Row], answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """Truth -> label (`unsure` among them) -> its share."""
    out: dict[str, dict[str, float]] = {}
    for number, truth in enumerate(LABELS):
        said = [a.label for row, a in zip(rows, answers, strict=True) if row.label == number]
        out[truth] = {label: round(said.count(label) / max(1, len(said)), 4) for label in (*LABELS, "unsure")}
    return out


def everything(evaluation: Path, training: Path, most: int) -> dict[str, list[Row]]:
    """The sets of the evaluation folder, UMSAB's validation files, and our own mentions that were set aside."""
    sets = read_folder(evaluation, most)
    sets[UMSAB] = [row for _, row in read_set(training / "umsab_xlmt.val.jsonl.gz")]
    sets[OWN_ASIDE] = own()[1]
    return sets
