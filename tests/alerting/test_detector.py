"""The detector: its formulas against outside references, and its promises on simulated brands."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import nbinom

from alerting.brand_state import BURST_LEVELS, BURST_PHASES, BURST_STATES, RECORD
from alerting.bursts import DOWN_ONE, DOWN_TWO, ENTRY_LEVELS, FIRST, STAY, move_chain, weigh_chain
from alerting.detector import BIN_SECONDS, Settings, State, Verdict, threshold, update
from alerting.dispersion import LOG_DOUBT, learn_dispersion, refresh_dispersion, settle_silence
from alerting.evidence import additive_ratio, additive_ratios
from alerting.special import log_gamma, log_rising

DAY = 288
START = 1_767_571_243  # Monday 2026-01-05 00:00:43 UTC


def judge(count, *, total=None, exposure=None, start=START, state=None):
    """One brand: verdicts and scores."""
    count = np.asarray(count, float)[None]
    total = None if total is None else np.asarray(total, float)[None]
    exposure = np.ones(count.shape) if exposure is None else np.asarray(exposure, float)[None]
    state, verdicts, scores = update(state or State.fresh(1), np.array([start]), count, total, exposure, Settings())
    return state, verdicts, scores[0]


def quiet(days, rate=2.0, seed=0, dispersion=2.0, factor=None):
    """Counts of a brand with a daily shape; `factor`: (first bin, last bin, times) of a rise."""
    rng = np.random.default_rng(seed)
    mean = rate * (1 + 0.5 * np.cos(2 * np.pi * np.arange(int(days * DAY)) / DAY))
    if factor:
        mean[factor[0] : factor[1]] *= factor[2]
    return rng.negative_binomial(mean / (dispersion - 1), 1 / dispersion).astype(float)


def kinds(verdicts):
    return [v.kind for v in verdicts if v.kind != "burst"]


class TestFormulas:
    @pytest.mark.parametrize("x", [1e-9, 0.01, 0.5, 1.0, 3.7, 7.99, 8.0, 55.5, 1e4, 1e8])
    def test_log_gamma_is_scipys(self, x):
        assert log_gamma(x) == pytest.approx(gammaln(x), rel=1e-12, abs=1e-11)

    @pytest.mark.parametrize(("x", "n"), [(0.02, 0), (0.02, 3), (5.0, 16), (0.3, 17), (40.0, 2.5), (900.0, 12_000)])
    def test_log_rising_is_a_difference_of_log_gammas(self, x, n):
        assert log_rising(x, float(n)) == pytest.approx(gammaln(x + n) - gammaln(x), rel=1e-10, abs=1e-9)

    @settings(deadline=None)
    @given(
        count=st.integers(0, 5000),
        expected=st.floats(0.01, 800),
        dispersion=st.floats(1.02, 20),
        size=st.sampled_from([1.5, 3.0, 10.0, 45.0]),
    )
    def test_evidence_is_the_log_likelihood_ratio_of_scipys_negative_binomial(self, count, expected, dispersion, size):
        crisis = nbinom(n=size * expected / (dispersion - 1), p=1 / dispersion).logpmf(count)
        usual = nbinom(n=expected / (dispersion - 1), p=1 / dispersion).logpmf(count)
        ratio = additive_ratio(float(count), expected, dispersion, size)
        assert ratio == pytest.approx(crisis - usual, rel=1e-6, abs=1e-6)
        assert additive_ratios(float(count), expected, dispersion, np.array([2.0, size]))[1] == pytest.approx(ratio)

    def test_burst_chain_is_the_sum_over_all_paths(self):
        """Brute force: every path of states through four bins, weighted by prior, moves and likelihoods."""
        entry = np.array([0.03, 0.01, 0.004, 0.002])
        move = chain_matrix(entry)
        ratios = np.random.default_rng(3).normal(0, 2, (4, BURST_LEVELS))
        eta = 0.7
        likelihood = np.ones((4, BURST_STATES))
        for family, phases in enumerate(BURST_PHASES):
            for level, phase in itertools.product(range(BURST_LEVELS), range(phases)):
                likelihood[:, FIRST[family] + level * phases + phase] = np.exp(eta * ratios[:, level])
        paths = {0: 1.0}  # state -> weight of all paths that end there
        for t in range(4):
            ends: dict[int, float] = {}
            for state, weight in paths.items():
                for after in np.flatnonzero(move[state]):
                    ends[after] = ends.get(after, 0.0) + weight * move[state, after] * likelihood[t, after]
            paths = ends
        chain, evidence = np.zeros(BURST_STATES), 0.0
        chain[0] = 1.0
        for t in range(4):
            move_chain(chain, entry)
            evidence += weigh_chain(chain, ratios[t], eta)
        assert evidence == pytest.approx(math.log(sum(paths.values())), rel=1e-10)
        expected = np.array([paths.get(state, 0.0) for state in range(BURST_STATES)]) / sum(paths.values())
        np.testing.assert_allclose(chain, expected, atol=1e-12)

    def test_a_move_keeps_the_probability(self):
        chain = np.random.default_rng(1).dirichlet(np.ones(BURST_STATES))
        move_chain(chain, np.array([0.05, 0.02, 0.01, 0.01]))
        assert chain.sum() == pytest.approx(1.0)

    @pytest.mark.parametrize(("rate", "dispersion"), [(0.3, 1.5), (0.3, 6.0), (1.5, 3.0), (40.0, 2.0), (300.0, 8.0)])
    def test_dispersion_is_found(self, rate, dispersion):
        counts = np.random.default_rng(5).negative_binomial(rate / (dispersion - 1), 1 / dispersion, 12_000)
        s = State.fresh(1).brands
        s["level"] = rate
        for count in counts:
            learn_dispersion(s[0], float(count), rate)
        refresh_dispersion(s[0])
        assert s["dispersion"][0] == pytest.approx(dispersion, rel=0.15)

    def test_silence_that_was_no_silence_is_owed_and_repaid(self):
        """Poisson-like: P(no event | 60 expected) is far below 1/4000, so 60 + 2 sd may come at once without being new."""
        s = State.fresh(1).brands
        s["dispersion"] = 2.0
        for _ in range(12):
            assert settle_silence(s[0], 0.0, 5.0) == 0.0
        assert 60 * math.log(2) > LOG_DOUBT
        assert settle_silence(s[0], 65.0, 5.0) == pytest.approx(5.0)

    def test_short_silence_owes_nothing(self):
        s = State.fresh(1).brands
        s["dispersion"] = 2.0
        settle_silence(s[0], 0.0, 1.0)
        assert settle_silence(s[0], 30.0, 1.0) == pytest.approx(30.0, abs=0.1)


def chain_matrix(entry):
    """[from, to] written from the words: stay in a phase, leave it, leave two; out of the lowest level to null."""
    move = np.zeros((BURST_STATES, BURST_STATES))
    move[0, 0] = 1 - entry.sum()
    for family, phases in enumerate(BURST_PHASES):
        for step in range(BURST_LEVELS * phases):
            here = FIRST[family] + step
            for down, chance in enumerate((STAY[family], DOWN_ONE[family], DOWN_TWO[family])):
                move[here, here - down if step - down >= 0 else 0] += chance
        for level in range(BURST_LEVELS - ENTRY_LEVELS, BURST_LEVELS):
            move[0, FIRST[family] + (level + 1) * phases - 1] = entry[family] / ENTRY_LEVELS
    return move


class TestStories:
    def test_a_crisis_pages_once_and_closes_after_it_has_faded(self):
        _, verdicts, _ = judge(quiet(30, factor=(25 * DAY, 25 * DAY + 144, 8)))
        assert kinds(verdicts) == ["page", "close"]
        page, close = (v for v in verdicts if v.kind != "burst")
        onset, end = START + 25 * DAY * 300, START + (25 * DAY + 144) * 300
        assert onset < page.end <= onset + 3600
        assert onset - 900 <= page.since <= onset + 900
        assert end < close.end <= end + 2 * 3600
        assert close.rule == "faded"
        assert page.ratio == pytest.approx(page.observed / page.expected)
        assert f"{page.observed} negative mentions" in page.reason
        assert page.score >= threshold(Settings())

    def test_quiet_weeks_do_not_page(self):
        assert not kinds(judge(quiet(60, seed=7))[1])

    def test_nobody_is_paged_in_the_first_two_days(self):
        count = quiet(2)
        count[300:400] += 80
        assert not judge(count[: 2 * DAY])[1]

    def test_a_backlog_in_one_bin_does_not_page(self):
        count = quiet(30, rate=5.0)
        outage = slice(25 * DAY, 25 * DAY + 48)
        count[25 * DAY + 48] += count[outage].sum()
        count[outage] = 0
        assert not kinds(judge(count)[1])

    def test_a_gap_is_unknown_not_zero(self):
        count = quiet(40, rate=5.0)
        count[25 * DAY : 30 * DAY] = np.nan
        state, verdicts, _ = judge(count)
        assert not kinds(verdicts)
        assert state.brands["level"][0] == pytest.approx(5.0, rel=0.1)

    def test_half_the_exposure_is_half_the_expectation(self):
        count, exposure = quiet(40, rate=6.0), np.ones(40 * DAY)
        exposure[20 * DAY :] = 0.5
        count[20 * DAY :] = np.random.default_rng(1).binomial(count[20 * DAY :].astype(int), 0.5)
        state, verdicts, _ = judge(count, exposure=exposure)
        assert not kinds(verdicts)
        assert state.brands["level"][0] == pytest.approx(6.0, rel=0.1)

    def test_what_lasts_for_three_days_is_the_new_level(self):
        state, verdicts, _ = judge(quiet(40, factor=(25 * DAY, 40 * DAY, 5)))
        assert [v.rule for v in verdicts if v.kind == "close"] == ["new-level"]
        assert kinds(verdicts) == ["page", "close"]
        assert state.brands["level"][0] == pytest.approx(10.0, rel=0.2)

    def test_a_short_burst_is_a_burst_and_not_a_page(self):
        count = quiet(40, rate=10.0)
        for day in range(2, 38, 3):
            count[day * DAY : day * DAY + 4] *= [14, 9, 6, 2]
        verdicts = judge(count)[1]
        assert not kinds(verdicts)
        assert any(v.kind == "burst" and v.rule == "burst" for v in verdicts)

    def test_repeated_slow_bursts_are_learnt(self):
        """Eight times in a month something is tenfold for an hour or two: only the first ones get somebody up."""
        count = quiet(60, rate=10.0)
        fall = 1 + 10 * 0.5 ** (np.arange(60) / 8)
        for day in range(3, 58, 4):
            count[day * DAY : day * DAY + 60] *= fall
        pages = [(v.end - START) // 86_400 for v in judge(count)[1] if v.kind == "page"]
        assert pages
        assert max(pages) < 25

    @pytest.mark.parametrize("praise", [5, 10, 20])
    def test_a_wave_of_praise_does_not_page(self, praise):
        """Others rise tenfold; 5 % of them are called negative."""
        rng = np.random.default_rng(2)
        others = rng.poisson(40.0, 30 * DAY).astype(float)
        others[25 * DAY : 25 * DAY + 96] = rng.poisson(40.0 * praise, 96)
        wrong = rng.binomial(others.astype(int), 0.05)
        negative = quiet(30) + wrong
        total = quiet(30) + others
        assert not kinds(judge(negative, total=np.maximum(total, negative))[1])
        assert "page" in kinds(judge(negative)[1])

    def test_a_crisis_inside_a_wave_of_praise_pages(self):
        rng = np.random.default_rng(2)
        others = rng.poisson(40.0, 30 * DAY).astype(float)
        others[25 * DAY : 25 * DAY + 144] = rng.poisson(400.0, 144)
        negative = quiet(30) + rng.binomial(others.astype(int), 0.05)
        negative[25 * DAY + 24 : 25 * DAY + 120] += rng.poisson(60, 96)
        verdicts = judge(negative, total=negative + others)[1]
        assert kinds(verdicts)[:1] == ["page"]
        assert verdicts[-1].end > START + (25 * DAY + 24) * 300

    def test_louder_and_more_pages_mean_less_evidence(self):
        normal = threshold(Settings())
        assert threshold(Settings(sensitivity="loud")) < normal < threshold(Settings(sensitivity="quiet"))
        assert threshold(Settings(pages_per_month=1.0)) == pytest.approx(normal - math.log(2))
        with pytest.raises(ValueError, match="pages_per_month"):
            threshold(Settings(pages_per_month=0))


@pytest.fixture(scope="module")
def brands():
    """Four brands with gaps, a crisis, a burst and an outage, on grids of their own; counts, totals, exposures."""
    rng = np.random.default_rng(9)
    days = 20
    count = np.stack([quiet(days, rate, seed=i) for i, rate in enumerate((0.1, 1.0, 10.0, 200.0))])
    count[:, 17 * DAY : 17 * DAY + 100] *= 9
    count[:, 15 * DAY] *= 15
    count[2, 12 * DAY : 12 * DAY + 40] = 0
    exposure = rng.choice([1.0, 1.0, 1.0, 0.5, 0.0], count.shape)
    count[rng.random(count.shape) < 0.02] = np.nan
    total = count + rng.poisson(30, count.shape)
    return np.array([START, START + 17, START + 250, START + 86_400]), count, total, exposure


def slices(cuts, bins):
    edges = [0, *sorted(cuts), bins]
    return [slice(a, b) for a, b in itertools.pairwise(edges) if b > a]


class TestPromises:
    @settings(max_examples=15, deadline=None)
    @given(cuts=st.sets(st.integers(1, 20 * DAY - 1), max_size=6), save=st.booleans())
    def test_blocks_and_restarts_change_nothing(self, brands, cuts, save):
        start, count, total, exposure = brands
        whole, verdicts, scores = update(State.fresh(4), start, count, total, exposure, Settings())
        state, told, seen = State.fresh(4), [], []
        for part in slices(cuts, count.shape[1]):
            at = start + part.start * BIN_SECONDS
            state, said, score = update(state, at, count[:, part], total[:, part], exposure[:, part], Settings())
            told += said
            seen.append(score)
            state = State.from_bytes(state.to_bytes()) if save else state
        assert state.to_bytes() == whole.to_bytes()
        assert sorted(told, key=lambda v: (v.end, v.brand)) == verdicts
        assert np.array_equal(np.concatenate(seen, axis=1), scores)
        assert {v.kind for v in verdicts} >= {"page", "close"}

    def test_bin_by_bin_is_the_same(self, brands):
        start, count, total, exposure = (part[..., : 4 * DAY] for part in brands)
        whole, verdicts, scores = update(State.fresh(4), start, count, total, exposure, Settings())
        state, told = State.fresh(4), []
        for t in range(count.shape[1]):
            part = slice(t, t + 1)
            at = start + t * BIN_SECONDS
            state, said, score = update(state, at, count[:, part], total[:, part], exposure[:, part], Settings())
            told += said
            assert np.array_equal(score[:, 0], scores[:, t])
        assert state.to_bytes() == whole.to_bytes()
        assert sorted(told, key=lambda v: (v.end, v.brand)) == verdicts

    @settings(max_examples=10, deadline=None)
    @given(end=st.integers(1, 20 * DAY))
    def test_it_only_looks_back(self, brands, end):
        start, count, total, exposure = brands
        _, verdicts, scores = update(State.fresh(4), start, count, total, exposure, Settings())
        _, early, part = update(State.fresh(4), start, count[:, :end], total[:, :end], exposure[:, :end], Settings())
        assert np.array_equal(part, scores[:, :end])
        assert early == [v for v in verdicts if v.end <= start[v.brand] + end * BIN_SECONDS]

    def test_brands_do_not_know_of_each_other(self, brands):
        start, count, total, exposure = brands
        _, _, scores = update(State.fresh(4), start, count, total, exposure, Settings())
        for i in range(4):
            one = slice(i, i + 1)
            _, _, alone = update(State.fresh(1), start[one], count[one], total[one], exposure[one], Settings())
            assert np.array_equal(alone[0], scores[i])

    def test_missing_bins_are_gaps(self):
        count = quiet(60)
        count[20 * DAY : 55 * DAY] = np.nan  # longer than the month after which there is nothing left to forget
        full, verdicts, scores = judge(count)
        state, before, early = judge(count[: 20 * DAY])
        state, after, late = judge(count[55 * DAY :], start=START + 55 * DAY * BIN_SECONDS, state=state)
        assert state.to_bytes() == full.to_bytes()
        assert before + after == verdicts
        assert np.array_equal(np.concatenate([early, late]), np.delete(scores, slice(20 * DAY, 55 * DAY)))

    def test_the_given_state_is_not_changed(self):
        state, _, _ = judge(quiet(3))
        before = state.to_bytes()
        judge(quiet(1), start=START + 3 * DAY * BIN_SECONDS, state=state)
        assert state.to_bytes() == before

    def test_take_and_put(self, brands):
        start, count, total, exposure = brands
        state, _, _ = update(State.fresh(4), start, count, total, exposure, Settings())
        two = state.take(np.array([3, 1]))
        other = State.fresh(4)
        other.put(np.array([0, 2]), two)
        assert other.take(np.array([0])).to_bytes() == state.take(np.array([3])).to_bytes()
        assert len(other) == 4

    def test_another_version_is_refused(self):
        data = State.fresh(2).to_bytes()
        with pytest.raises(ValueError, match="another version"):
            State.from_bytes(b"tocsin-detector-0" + data[17:])
        with pytest.raises(ValueError, match="cut off"):
            State.from_bytes(data[:-1])

    def test_a_brand_needs_little_memory(self):
        assert RECORD.itemsize <= 20_000

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"start": START + 7}, "whole bins later"),
            ({"start": START}, "whole bins later"),
            ({"count": [-1.0]}, "below zero"),
            ({"count": [math.inf]}, "infinite"),
            ({"exposure": [1.5]}, "between 0 and 1"),
            ({"exposure": [1.0, 1.0]}, "exposure"),
            ({"total": [1.0, 2.0]}, "total"),
        ],
    )
    def test_wrong_input_is_refused(self, change, message):
        state, _, _ = judge(quiet(1))
        given = {"count": [1.0], "start": START + DAY * BIN_SECONDS, **change}
        with pytest.raises(ValueError, match=message):
            judge(**given, state=state)

    def test_verdicts_are_values(self):
        verdict = Verdict(0, 300, "page", 9.0, 1.0, 5, 5.0, 0, "surge", "x")
        assert verdict == Verdict(0, 300, "page", 9.0, 1.0, 5, 5.0, 0, "surge", "x")
