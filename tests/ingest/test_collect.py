"""What an answer of a source means. Read as timelines: what a source shows, poll after poll."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.answer import Answer, Caching, Failure
from ingest.brand import Brand, Matcher
from ingest.collect import (
    MAX_ITEMS,
    MAX_REVISIONS,
    Decision,
    Seen,
    SourceState,
    Watched,
    decide,
    decide_failed,
    decide_unchanged,
    posts_per_day,
)
from ingest.mention import mention_id
from ingest.parse import Unreadable
from ingest.source import Item, Parsed
from ingest.sources import KINDS

T0 = 1_700_000_000.0
DAY = 86_400.0
ADDRESS = "https://news.example/feed"
MATCHER = Matcher([Brand(name="Kometa", aliases=("Komet*",)), Brand(name="Vellora")])
ANSWER = Answer(200, ADDRESS, None, Caching(etag='"1"'), None, b"")


def item(number: int, text: str = "Kometa is down", at: float | None = T0, **more: object) -> Item:
    return Item(str(number), f"https://news.example/{number}", f"No. {number}", text, published=at, **more)  # type: ignore[arg-type]


class Source:
    """One source and what is remembered of it, without a database."""

    def __init__(self, kind: str = "feed", **config: object) -> None:
        self.kind = KINDS[kind]
        self.config = self.kind.Config(kind=kind, url=ADDRESS, **config)  # type: ignore[arg-type]
        self.state = SourceState(self.config.id)
        self.seen: Mapping[str, Seen] = {}

    def shows(self, *items: Item, now: float, stable_ids: bool = True) -> Decision:
        watched = Watched(self.config, self.kind, MATCHER)
        parsed = Parsed(items, stable_ids=stable_ids)
        decision = decide(parsed, self.seen, self.state, watched, answer=ANSWER, body_hash="h", now=now)
        self.state = decision.state
        self.seen = dict(self.seen) | {row.post: row for row in decision.seen}
        return decision


def said(decision: Decision) -> Sequence[tuple[str, bool, int]]:
    return [(mention.title, mention.history, mention.revision) for mention in decision.mentions]


def test_first_contact_is_history_and_what_comes_later_is_news() -> None:
    source = Source()
    first = source.shows(item(1, at=T0 - 9 * DAY), item(2, at=T0 - 60), now=T0)
    assert said(first) == [("No. 1", True, 0), ("No. 2", True, 0)]
    assert first.counts == {"history": 2}
    assert source.state.first_contact == T0
    second = source.shows(item(3, at=T0 + 60), item(1, at=T0 - 9 * DAY), item(2, at=T0 - 60), now=T0 + 120)
    assert said(second) == [("No. 3", False, 0)]
    assert second.counts == {"new": 1, "unchanged": 2}
    assert source.state.first_contact == T0


def test_an_old_post_that_surfaces_later_is_history_and_one_without_a_date_is_news() -> None:
    source = Source()
    source.shows(now=T0)
    later = source.shows(item(1, at=T0 - DAY), item(2, at=None), now=T0 + DAY)
    assert said(later) == [("No. 1", True, 0), ("No. 2", False, 0)]


def test_a_mention_carries_what_the_next_stages_need() -> None:
    source = Source()
    source.shows(now=T0)
    (mention,) = source.shows(
        item(1, "bad Kometa'nın", T0 + 5, author="A", language="tr", stars=2.0), now=T0 + 9
    ).mentions
    assert mention.id == mention_id("Kometa", "https://news.example/1")
    assert (mention.brand, mention.post, mention.source, mention.kind) == (
        "Kometa",
        "https://news.example/1",
        source.config.id,
        "feed",
    )
    assert (mention.author, mention.language, mention.stars, mention.published, mention.collected) == (
        "A",
        "tr",
        2.0,
        T0 + 5,
        T0 + 9,
    )
    assert [mention.scored_text[start:end] for start, end in mention.names] == ["Kometa"]


def test_a_post_about_two_brands_is_two_mentions_and_about_none_is_none() -> None:
    source = Source()
    decision = source.shows(item(1, "Vellora and Kometa"), item(2, "nothing"), now=T0)
    assert sorted(mention.brand for mention in decision.mentions) == ["Kometa", "Vellora"]
    assert len({mention.id for mention in decision.mentions}) == 2
    assert decision.counts == {"history": 1, "no-brand": 1}
    assert len(decision.seen) == 2


def test_a_source_is_looked_through_for_its_own_brands() -> None:
    decision = Source(brands=("Vellora",)).shows(item(1, "Vellora and Kometa"), now=T0)
    assert [mention.brand for mention in decision.mentions] == ["Vellora"]


def test_an_edit_is_the_same_mention_in_another_revision() -> None:
    source = Source()
    first = source.shows(item(1), now=T0)
    second = source.shows(item(1, "Kometa is up again"), now=T0 + 60)
    third = source.shows(item(1, "Kometa is up again"), now=T0 + 120)
    assert said(second) == [("No. 1", True, 1)]
    assert second.mentions[0].id == first.mentions[0].id
    assert (said(third), third.counts) == ([], {"unchanged": 1})


def test_a_post_that_flickers_is_left_alone() -> None:
    source = Source()
    revisions = [said(source.shows(item(1, f"Kometa {n}"), now=T0 + n)) for n in range(MAX_REVISIONS + 5)]
    assert [len(mentions) for mentions in revisions] == [1] * (MAX_REVISIONS + 1) + [0] * 4


def test_the_same_post_twice_in_a_document_is_one() -> None:
    decision = Source().shows(item(1), replace(item(1), url="http://news.example/1?utm_source=x"), now=T0)
    assert (len(decision.mentions), decision.counts) == (1, {"history": 1, "twice": 1})


def test_an_address_that_posts_share_is_no_permalink() -> None:
    shared = [replace(item(number), url="https://news.example/status") for number in (1, 2)]
    decision = Source().shows(*shared, now=T0)
    assert [mention.post for mention in decision.mentions] == ["feed:1", "feed:2"]


def test_reviews_are_told_apart_by_their_ids() -> None:
    shared = [replace(item(number), url="https://shop.example/product") for number in (1, 2)]
    assert [mention.post for mention in Source("app_store").shows(*shared, now=T0).mentions] == [
        "app_store:1",
        "app_store:2",
    ]


def test_ids_that_change_at_every_fetch_do_not_make_new_posts() -> None:
    source = Source()
    source.shows(replace(item(1), url=None), now=T0, stable_ids=False)
    again = source.shows(replace(item(1), id="other", url=None), now=T0 + 60, stable_ids=False)
    assert again.counts == {"unchanged": 1}


@pytest.mark.parametrize("published", [T0 + 3_601, T0 + 400 * DAY, 0.0, -5.0])
def test_dates_that_cannot_be_are_not_believed(published: float) -> None:
    decision = Source().shows(item(1, at=published), now=T0)
    assert decision.mentions[0].published is None
    assert decision.mentions[0].time == T0
    assert decision.counts == {"history": 1, "bad-date": 1}


def test_a_slightly_fast_clock_is_believed() -> None:
    assert Source().shows(item(1, at=T0 + 3_600), now=T0).mentions[0].published == T0 + 3_600


def test_a_document_has_a_bounded_number_of_items() -> None:
    decision = Source().shows(*(item(number) for number in range(MAX_ITEMS + 50)), now=T0)
    assert (len(decision.mentions), decision.counts["too-many"]) == (MAX_ITEMS, 50)


def test_304_keeps_what_is_known_and_takes_over_new_validators() -> None:
    source = Source()
    source.shows(item(1), now=T0)
    answer = Answer(304, ADDRESS, None, Caching(last_modified="later", cache_control="max-age=7200"), None, b"")
    decision = decide_unchanged(source.state, source.config, answer, T0 + 900)
    assert (decision.state.etag, decision.state.last_modified) == ('"1"', "later")
    assert (decision.reason, decision.due_reason, decision.mentions) == ("unchanged", "cache", ())
    assert decision.next_due >= T0 + 900 + 7_200


def test_the_very_same_body_drops_validators_that_are_no_longer_given() -> None:
    state = SourceState("feed:a", etag='"1"', first_contact=T0)
    answer = Answer(200, ADDRESS, None, Caching(), None, b"same")
    assert decide_unchanged(state, Source().config, answer, T0).state.etag is None


@pytest.mark.parametrize(
    ("failure", "soonest"),
    [
        (Failure("timeout", "s."), 300),
        (Failure("status-4xx", "s.", 404), 4_096),
        (Unreadable("unparsable", "s."), 4_096),
        (Failure("rate-limited", "s.", 429, Caching(retry_after="9000")), 9_000),
    ],
)
def test_a_failure_keeps_the_validators_and_comes_back_later(failure: Failure | Unreadable, soonest: float) -> None:
    state = SourceState("feed:a", etag='"1"', last_answer=T0 - 60)
    decision = decide_failed(state, Source().config, failure, T0)
    assert (decision.reason, decision.state.failures, decision.state.etag) == (failure.reason, 1, '"1"')
    assert decision.state.last_answer == T0 - 60
    assert soonest <= decision.next_due - T0 <= 1.1 * soonest
    again = decide_unchanged(decision.state, Source().config, ANSWER, T0 + 9_999)
    assert again.state.failures == 0


def test_a_failed_first_poll_is_no_first_contact() -> None:
    assert decide_failed(SourceState("feed:a"), Source().config, Failure("dns", "s."), T0).state.first_contact is None


def test_the_publishing_rate() -> None:
    assert posts_per_day([T0 - n * DAY / 24 for n in range(1, 25)], T0) == pytest.approx(24)
    assert posts_per_day([T0 - 30 * DAY, T0 - DAY], T0) == pytest.approx(1 / 7)
    assert posts_per_day([T0 - 30 * DAY], T0) == 0
    assert posts_per_day([None, T0 + DAY], T0) is None


WORDS = st.sampled_from(["Kometa", "Vellora", "nothing", "Kometa Kometa"])
SHOWN = st.lists(
    st.builds(item, st.integers(0, 6), WORDS, st.none() | st.floats(T0 - 5 * DAY, T0 + 5 * DAY)), max_size=6
)


@given(st.lists(SHOWN, max_size=8))
def test_whatever_a_source_shows_nothing_comes_twice(polls: list[list[Item]]) -> None:
    """Each (mention, revision) is published at most once, and what is shown again unchanged publishes nothing."""
    source = Source()
    published: set[tuple[str, int]] = set()
    for number, items in enumerate(polls):
        decision = source.shows(*items, now=T0 + number * 600)
        keys = [(mention.id, mention.revision) for mention in decision.mentions]
        assert len(set(keys)) == len(keys)
        assert not published & set(keys)
        published.update(keys)
        assert decision.next_due > T0 + number * 600
        assert source.shows(*items, now=T0 + number * 600 + 1).mentions == []
