"""The simulator and the scores: what they claim to be."""

import math

import numpy as np
import pytest

from tests.bench.spikes.scoring import CrisisScore, Decision, FreeScore, oracle_delay, ratios
from tests.bench.spikes.worlds import crisis_factor, draw, make


def small(name="A", crises=True, **more):
    return make(name, 3, (5.0, 50.0), (3.0,), crises=crises, weeks=7, **more)


def test_the_same_arguments_give_the_same_world():
    assert np.array_equal(small().count, small().count, equal_nan=True)


@pytest.mark.parametrize("dispersion", [1.0, 2.0, 8.0])
def test_counts_have_the_dispersion(dispersion):
    counts = draw(np.random.default_rng(1), np.full(200_000, 7.0), dispersion)
    assert counts.mean() == pytest.approx(7.0, rel=0.02)
    assert counts.var() / counts.mean() == pytest.approx(dispersion, rel=0.03)


@pytest.mark.parametrize("shape", ["step", "ramp", "viral"])
def test_a_crisis_reaches_its_size_and_ends(shape):
    factor, decays, fades = crisis_factor(10.0, shape)
    assert factor.max() == pytest.approx(10.0)
    assert factor[-1] == pytest.approx(1.0)
    assert factor[decays - 1] == pytest.approx(10.0)
    assert 1.0 < factor[fades] < 1.9
    assert len(factor) - decays == 72


def test_the_oracle_needs_one_bin_for_a_great_step_and_never_sees_a_small_one_of_a_rare_brand():
    busy = make("A", 3, (500.0,), (3.0,), crises=True)
    great = [c for c in busy.crises if c.shape == "step" and c.size >= 10 and busy.count[0, c.onset] >= 0]
    assert great
    assert all(oracle_delay(busy, c) == 5.0 for c in great)
    rare = make("A", 3, (0.01,), (3.0,), crises=True, weeks=7)
    assert all(oracle_delay(rare, c) == 720.0 for c in rare.crises if c.size == 2)


def test_ratios_of_poisson_and_near_poisson_agree():
    count, usual = np.array([0.0, 3.0, 9.0, np.nan]), np.array([2.0, 2.0, 2.0, 2.0])
    np.testing.assert_allclose(ratios(count, usual, 1.0, 3.0), ratios(count, usual, 1.0001, 3.0), atol=1e-2)


def test_backlogs_lose_nothing():
    quiet = small("D", crises=False)
    assert quiet.backlogs
    for brand, at in quiet.backlogs:
        assert quiet.count[brand, at - 1] == 0
        assert quiet.count[brand, at] > quiet.usual[brand, at]


def test_totals_hold_the_negatives():
    praised = small("P", crises=False)
    assert praised.praise
    known = ~np.isnan(praised.count)
    assert (praised.total[known] >= praised.count[known]).all()


def test_scores_count_pages_after_the_warm_up():
    world = small(crises=False)
    free = FreeScore()
    free.add(
        world, [Decision(0, 10, "page"), Decision(0, world.warm_up + 1, "page"), Decision(1, world.warm_up, "burst")]
    )
    assert free.mean() == pytest.approx(1 / (2 * world.months))
    assert free.worst() == (pytest.approx(1 / world.months), (5.0, 3.0))


def test_a_page_within_twelve_hours_is_a_detection():
    world = small()
    first, second = world.crises[:2]
    score = CrisisScore()
    score.add(
        world,
        [
            Decision(first.brand, first.onset + 11, "page"),
            Decision(first.brand, first.fades + 2, "close"),
            Decision(second.brand, second.onset + 144, "page"),
        ],
        oracle=False,
    )
    delays = [delay for _, _, delay, _ in score.delays]
    assert delays[0] == 60.0
    assert delays[1] == math.inf
    assert score.closed == [15.0]
    assert (score.early, score.again) == (0, 0)
