"""Temperatures and the threshold of abstention, chosen on rows that nothing was trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.bundled import Bundled
from classify.training.measure import probabilities, questions
from classify.training.sets import Row

WANTED_COVERAGE = 0.85
"""Share of the held-back rows that keep a label; the rest says `unsure`."""


def temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The divisor of the logits with the least negative log-likelihood (Guo et al. 2017)."""
    best = (float("inf"), 1.0)
    for candidate in np.geomspace(0.5, 4.0, 120):
        scaled = logits / candidate
        log_shares = (
            scaled
            - np.log(np.exp(scaled - scaled.max(-1, keepdims=True)).sum(-1, keepdims=True))
            - scaled.max(-1, keepdims=True)
        )
        best = min(best, (float(-log_shares[np.arange(len(truth)), truth].mean()), float(candidate)))
    return round(best[1], 3)


def calibrate(model: Bundled, rows: Sequence[Row]) -> dict[str, Any]:
    """What the card says: a temperature per head, and the threshold that keeps `WANTED_COVERAGE`."""
    about = [row for row in rows if row.span or row.beside]
    whole = [row for row in rows if not (row.span or row.beside)]
    temperatures, shares = {}, []
    for head, part in (("text", whole), ("target", about)):
        logits = np.log(np.clip(probabilities(model.answer(questions(part, with_target=True))), 1e-9, 1))
        truth = np.array([row.label for row in part])
        temperatures[head] = temperature(logits, truth)
        scaled = np.exp(logits / temperatures[head])
        shares.append(scaled / scaled.sum(-1, keepdims=True))
    confidence = np.concatenate(shares).max(-1)
    return {"temperature": temperatures, "threshold": round(float(np.quantile(confidence, 1 - WANTED_COVERAGE)), 3)}
