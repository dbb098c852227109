"""Relevance from a few examples, on directions made by hand and on the model's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from classify.relevance import Relevance, fit, sigmoid

FRUIT = ("peel an orange and eat it", "orange juice in the morning", "she wore an orange dress", "oranges from Spain")
PHONE = ("Orange cut my line again", "the Orange bill is wrong", "Orange has no network here", "I left Orange for good")


class Words:
    """A stand-in for the model: texts are alike by their words. It keeps the promise: directions of length 1."""

    def like(self, texts):  # type: ignore[no-untyped-def]
        out = np.zeros((len(texts), 64), np.float32)
        for i, text in enumerate(texts):
            for word in text.lower().split():
                out[i, sum(map(ord, word)) % 64] += 1
        return out / np.linalg.norm(out, axis=1, keepdims=True)


def test_it_learns_what_the_examples_say() -> None:
    relevance = Relevance(Words(), PHONE, FRUIT)
    about, other = relevance.of(["Orange sent a wrong bill", "I eat an orange"])
    assert about > other + 0.05
    assert (relevance.of(PHONE) > 0.5).all()
    assert (relevance.of(FRUIT) < 0.5).all()
    assert relevance.of([]).shape == (0,)


def test_another_language_than_that_of_the_examples_counts_against_it() -> None:
    relevance = Relevance(Words(), PHONE, ("la naranja está muy rica hoy", "el zumo de naranja es bueno"))
    english, spanish = relevance.of(["my mother called about something else", "mi madre llamó por otra cosa"])
    assert english > spanish


def test_examples_of_one_kind_teach_nothing() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        Relevance(Words(), PHONE, ())


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1_000))
def test_the_fit_is_a_minimum_of_the_penalised_likelihood(yes: int, no: int, seed: int) -> None:
    """Its gradient is nought: the reference is the formula, not the way there."""
    chance = np.random.default_rng(seed)
    x: NDArray[np.float64] = chance.normal(size=(yes + no, 5))
    truth = np.array([1.0] * yes + [0.0] * no)
    weights, bias = fit(x @ x.T, truth)
    n = yes + no
    share = np.where(truth == 1, 0.5 / yes, 0.5 / no) * n
    residual = share * (truth - sigmoid(x @ x.T @ weights + bias))
    assert np.allclose(residual, 0.1 * weights, atol=1e-3)
    assert abs(residual.sum()) < 1e-3
