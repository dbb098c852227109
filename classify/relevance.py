"""Whether a text that names a brand is about it at all: learnt from a few examples that the user gives.

Orange is a fruit, and Play a button. No rule of words tells; texts that the user has sorted do. A logistic regression
on what the model says a text is like, and on its language: who watches a brand in one country does not mean the others.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from classify.language import shares

STRENGTH = 0.1
"""Of the ridge penalty, beside features of length 1 or so. Few examples need a strong one."""
SCALE = 14.0
"""Log-odds that make the feature of the language 1: as sure as `language.shares` can be."""
STEPS = 25
TINY = 1e-6
SMALLEST = 1e-4
"""Least weight of an example in a step: one that is far on its side says nothing any more."""


class Likens(Protocol):
    """A model that says what texts are like."""

    def like(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, width], directions of length 1."""
        ...


class Relevance:
    """Learnt from texts about the brand and texts that only use its name.

    Raises:
        ValueError: one of the two kinds is missing.
    """

    def __init__(self, model: Likens, about: Sequence[str], other: Sequence[str]) -> None:
        if not about or not other:
            raise ValueError("Relevance needs examples of both kinds: texts about the brand, and texts that are not.")
        self._model = model
        self._spoken = {max(found, key=lambda code: found[code]) for text in about if (found := shares(text))}
        self._examples = self._features([*about, *other])
        truth = np.array([1.0] * len(about) + [0.0] * len(other))
        self._weights, self._bias = fit(self._examples @ self._examples.T, truth)

    def of(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """[texts]: the probability that each is about the brand."""
        if not texts:
            return np.zeros(0)
        scores = self._features(texts) @ self._examples.T @ self._weights + self._bias
        return sigmoid(scores)

    def _features(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """What a text is like, and how sure it is in a language of the examples about the brand."""
        sure = np.array([sum(p for code, p in shares(text).items() if code in self._spoken) for text in texts])
        odds = np.log((sure + TINY) / (1 - sure + TINY)) / SCALE
        return np.hstack([np.asarray(self._model.like(texts), np.float64), odds[:, None]])


def fit(kernel: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Ridge logistic regression in its dual form, both classes with the same weight in all.

    Newton's steps as reweighted least squares (Hastie, Tibshirani and Friedman 2009, 4.4.1), each a system of the size
    of the examples.

    Args:
        kernel: [n, n], products of the examples' features.
        truth: [n], 1 or 0.

    Returns:
        weights [n] and bias: the score of a text is its products with the examples times the weights, plus the bias.
    """
    n = len(truth)
    share = np.where(truth == 1, 0.5 / truth.sum(), 0.5 / (n - truth.sum())) * n
    weights, bias = np.zeros(n), 0.0
    for _ in range(STEPS):
        scores = kernel @ weights + bias
        chance = sigmoid(scores)
        importance = np.maximum(share * chance * (1 - chance), SMALLEST)
        wanted = scores + share * (truth - chance) / importance
        system = np.zeros((n + 1, n + 1))
        system[:n, :n] = kernel + np.diag(STRENGTH / importance)
        system[:n, n] = system[n, :n] = 1.0
        solved = np.linalg.solve(system, np.append(wanted, 0.0))
        weights, bias = solved[:n], float(solved[n])
    return weights, bias


def sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of scores."""
    out: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(scores, -40, 40)))
    return out
