"""When a source is asked again."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.answer import Caching
from ingest.schedule import (
    DAY,
    FLOOR_CONDITIONAL,
    FLOOR_UNCONDITIONAL,
    HOUR,
    JITTER,
    LONGEST,
    MINUTE,
    Wishes,
    floor,
    fresh_for,
    next_poll,
    next_try,
    pace,
    retry_after,
)

NOW = 1_700_000_000.0
VALIDATORS = Caching(etag='"1"')


def interval(wishes: Wishes, caching: Caching = VALIDATORS) -> tuple[float, str]:
    """The interval without its jitter, to the second."""
    due, reason = next_poll("feed:a", NOW, wishes, caching)
    _, drawn = next_poll("feed:a", NOW, Wishes(every=FLOOR_UNCONDITIONAL), VALIDATORS)
    share = (next_poll("feed:a", NOW, Wishes(every=FLOOR_UNCONDITIONAL), VALIDATORS)[0] - NOW) / FLOOR_UNCONDITIONAL
    assert drawn == "every"
    return round((due - NOW) / share, 3), reason


def cache(value: str) -> Caching:
    return Caching(etag='"1"', cache_control=value)


@pytest.mark.parametrize(
    ("wishes", "caching", "seconds", "reason"),
    [
        (Wishes(every=60), VALIDATORS, FLOOR_CONDITIONAL, "floor"),
        (Wishes(every=60), Caching(), FLOOR_UNCONDITIONAL, "floor"),
        (Wishes(every=60, private=True), Caching(), 60, "every"),
        (Wishes(every=HOUR), VALIDATORS, HOUR, "every"),
        (Wishes(), VALIDATORS, 15 * MINUTE, "pace"),
        (Wishes(posts_per_day=0), VALIDATORS, HOUR, "pace"),
        (Wishes(posts_per_day=24), VALIDATORS, 30 * MINUTE, "pace"),
        (Wishes(posts_per_day=10_000), Caching(), FLOOR_UNCONDITIONAL, "floor"),
        (Wishes(posts_per_day=24, document=2 * HOUR), VALIDATORS, 2 * HOUR, "document"),
        (Wishes(posts_per_day=24, document=400 * DAY), VALIDATORS, DAY, "document"),
        (Wishes(every=10 * MINUTE, document=2 * HOUR), VALIDATORS, 10 * MINUTE, "every"),
        (Wishes(every=10 * MINUTE), cache("public, max-age=3600"), HOUR, "cache"),
        (Wishes(every=10 * MINUTE), cache("max-age=999999999"), DAY, "cache"),
        (Wishes(every=10 * MINUTE), cache("no-cache, max-age=3600"), 10 * MINUTE, "every"),
    ],
)
def test_the_longest_of_what_everybody_wants(wishes: Wishes, caching: Caching, seconds: float, reason: str) -> None:
    assert interval(wishes, caching) == (seconds, reason)


def test_freshness_as_servers_write_it() -> None:
    later = formatdate(NOW + 600, usegmt=True)
    assert fresh_for(Caching(expires=later), NOW) == 600
    assert fresh_for(Caching(expires=later, cache_control="max-age=60"), NOW) == 60
    assert fresh_for(Caching(expires=later, cache_control="no-store"), NOW) == 0
    for nothing in ("0", "-1", "", "soon", formatdate(NOW - 600, usegmt=True), None):
        assert fresh_for(Caching(expires=nothing), NOW) == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), (" 7 ", 7), ("-5", 0), ("soon", 0), ("", 0), (None, 0), ("99999999", DAY), (formatdate(NOW + 90, usegmt=True), 90), (formatdate(NOW - 90, usegmt=True), 0)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_never_the_past(value: str | None, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


def test_failures_back_off_and_are_never_given_up() -> None:
    def wait(failures: int, transient: bool, **more: object) -> float:
        caching = more.pop("caching", Caching())
        due, _ = next_try("feed:a", NOW, failures, transient=transient, wishes=Wishes(**more), caching=caching)  # type: ignore[arg-type]
        return due - NOW

    transient = [wait(n, True) for n in range(1, 40)]
    refused = [wait(n, False) for n in range(1, 40)]
    assert 300 <= transient[0] <= 330
    assert 600 <= transient[1] <= 660
    assert 8**4 <= refused[0] <= 1.1 * 8**4
    assert transient == sorted(transient)
    assert max(*transient, *refused) <= 1.1 * 23**4
    assert wait(1, True, caching=Caching(retry_after="7200")) >= 7_200
    assert wait(30, False, private=True) <= 1.1 * HOUR


def test_jitter_is_the_same_for_the_same_source_and_time_and_spreads_sources() -> None:
    dues = [next_poll(f"feed:{n}", NOW, Wishes(), VALIDATORS)[0] for n in range(200)]
    assert dues == [next_poll(f"feed:{n}", NOW, Wishes(), VALIDATORS)[0] for n in range(200)]
    assert len(set(dues)) == 200
    spread = [(due - NOW) / (15 * MINUTE) for due in dues]
    assert 1 <= min(spread) < 1.02
    assert 1.08 < max(spread) <= 1 + JITTER


@given(
    st.none() | st.floats(0, 1e7), st.none() | st.floats(0, 1e9), st.none() | st.floats(0, 1e6), st.booleans(), st.text(max_size=30), st.text(max_size=30)
)  # fmt: skip
def test_never_sooner_than_polite_and_never_later_than_asked(
    every: float | None, document: float | None, rate: float | None, private: bool, control: str, expires: str
) -> None:
    caching = Caching(cache_control=control, expires=expires)
    due, _ = next_poll("s", NOW, Wishes(every, document, rate, private), caching)
    assert due - NOW >= floor(private, caching)
    assert due - NOW <= max(every or 0, LONGEST) * (1 + JITTER)
    assert FLOOR_CONDITIONAL <= pace(rate) <= HOUR
