"""The judgement about one brand, told as a timeline of polls and mentions."""

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from alerting.account import Account
from alerting.bins import Bin, Service, bin_start, exposure
from alerting.detector import Settings
from alerting.evaluate import SEALED_AFTER, Judgement, evaluate
from classify.sentiment import ScoredMention, Sentiment
from ingest.mention import Mention, Poll, Progress

DAY = 86_400
START = 1_760_000_000 // DAY * DAY


def scored(number: int, time: float, source: str, label: str = "negative", **more: object) -> ScoredMention:
    mention = Mention(
        id=f"{number:032x}", brand="Kometa", post=str(number), source=source, kind="feed", published=time,
        collected=time, **more,
    )  # fmt: skip
    return ScoredMention(mention=mention, language="pl", sentiment=Sentiment(1, 0, 0), label=label, model="m")


@dataclass
class World:
    """Three sources, asked in turn; what is published is seen by the next poll of its source."""

    rate: float = 0.4
    seed: int = 1
    account: Account = field(default_factory=lambda: Account(0, frozenset({"Kometa"})))
    waiting: list[ScoredMention] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    numbers: int = 0

    def __post_init__(self):
        self.chance = random.Random(self.seed)

    def publish(self, time: float, source: str, **more: object) -> None:
        self.numbers += 1
        self.waiting.append(scored(self.numbers, time, source, **more))

    def bin(self, start: int, factor: float = 1.0, polled: tuple[str, ...] = ("a", "b", "c")) -> Judgement | None:
        """Five minutes: mentions appear, the sources of this turn are asked, time goes on."""
        for _ in range(np.random.default_rng(self.chance.getrandbits(32)).poisson(self.rate * factor)):
            self.publish(start + self.chance.random() * 300, self.chance.choice("abc"))
        end = start + 300
        polls = tuple(Poll(source=s, at=end, answered=True, brands=("Kometa",)) for s in polled)
        for one in [m for m in self.waiting if m.mention.source in polled]:
            self.waiting.remove(one)
            self.account.count(one, True, self.account.late(one))
        told, _ = self.account.hear(Progress(collector="c", at=end, polls=polls, path=0, paths=1))
        self.account.answered(told)
        watch = self.account.watches.get("Kometa")
        if watch is None:
            return None
        self.judgements.append(evaluate(watch, self.account.clock, Settings()))
        return self.judgements[-1]

    def quiet(self, start: int, bins: int, every: int = 3) -> int:
        for n in range(bins):
            self.bin(start + n * 300, polled=("abc"[n % every],) if every > 1 else ("a", "b", "c"))
        return start + bins * 300

    @property
    def pages(self) -> list[int]:
        return [
            j.at for before, j in zip(self.judgements, self.judgements[1:], strict=False) if j.active > before.active
        ]


def test_a_crisis_is_paged_while_it_goes_on_and_closed_when_it_is_over():
    world = World()
    now = world.quiet(START, 14 * 288)
    assert world.pages == []
    crisis = now
    for n in range(36):
        world.bin(crisis + n * 300, factor=8)
    assert len(world.pages) == 1
    assert crisis < world.pages[0] <= crisis + 90 * 60
    world.quiet(crisis + 36 * 300, 288)
    assert not world.judgements[-1].active


def test_a_source_that_is_silent_for_hours_and_then_answers_for_them_is_no_crisis():
    world = World()
    now = world.quiet(START, 14 * 288)
    for n in range(48):  # four hours in which only one source of three answers
        world.bin(now + n * 300, polled=("a",))
    now = world.quiet(now + 48 * 300, 144)
    assert world.pages == []


def test_partly_seen_bins_are_judged_again_when_their_sources_answer():
    world = World()
    now = world.quiet(START, 5 * 288, every=1)
    world.publish(now + 10, "b")
    world.bin(now, polled=("a",))
    watch = world.account.watches["Kometa"]
    seen = exposure(np.array([now]), watch.services.values())
    assert seen[0] == pytest.approx(1 / 3)
    judged = world.bin(now + 300, polled=("a", "b", "c"))
    assert now in judged.changed


def test_evaluating_bin_by_bin_and_all_at_once_is_the_same():
    once, step = World(seed=5), World(seed=5)
    now = step.quiet(START, 6 * 288, every=1)
    watch = step.account.watches["Kometa"]
    once.account.answered([Poll(source=s, at=START + 300, answered=True, brands=("Kometa",)) for s in "abc"])
    whole = once.account.watches["Kometa"]
    whole.services = {s: Service(START + 300, now) for s in "abc"}
    replay = World(seed=5)
    for n in range(6 * 288):
        for _ in range(np.random.default_rng(replay.chance.getrandbits(32)).poisson(replay.rate)):
            time = START + n * 300 + replay.chance.random() * 300
            replay.chance.choice("abc")
            if bin_start(time) >= whole.sealed:
                entry = whole.bins.setdefault(bin_start(time), Bin())
                entry.negative += 1
                entry.total += 1
    evaluate(whole, now, Settings())
    assert whole.checkpoints[-1].end == watch.checkpoints[-1].end
    assert whole.checkpoints[-1].state.to_bytes() == watch.checkpoints[-1].state.to_bytes()


def test_what_comes_after_two_days_is_kept_but_counts_no_more():
    world = World()
    now = world.quiet(START, 5 * 288, every=1)
    old = scored(999_999, now - SEALED_AFTER - 2 * DAY, "a")
    assert world.account.late(old)
    assert world.account.count(old, True, True) == "late"


def test_each_reason_not_to_count():
    world = World()
    now = world.quiet(START, 2 * 288, every=1)
    account = world.account
    assert account.count(scored(1, now, "a"), False, False) == "duplicate"
    assert account.count(scored(1, now, "a", history=True), True, False) == "history"
    assert account.count(scored(2, now, "new"), True, False) == "source-too-new"
    assert account.count(scored(1, now, "a"), True, False) == "counted"


def test_the_clock_waits_for_every_path_of_every_collector_and_for_nobody_who_left():
    account = Account(0, frozenset())
    account.hear(Progress(collector="x", at=600, path=0, paths=2))
    assert account.clock is None
    account.hear(Progress(collector="x", at=300, path=1, paths=2))
    assert account.clock == 300
    account.hear(Progress(collector="y", at=900, path=0, paths=2))
    assert account.clock is None
    account.hear(Progress(collector="y", at=900, path=1, paths=2))
    assert account.clock == 300
    assert account.hear(Progress(collector="x", at=900, path=0, paths=2, leaving=True)) == ([], False)
    assert account.hear(Progress(collector="x", at=900, path=1, paths=2, leaving=True)) == ([], True)
    assert account.clock == 900


def test_a_collectors_clock_never_goes_back():
    account = Account(0, frozenset())
    for at in (600, 300, 900, 0):
        account.hear(Progress(collector="x", at=at, path=0, paths=1))
    assert account.clock == 900


def test_polls_settle_nothing_before_every_path_has_told_of_them():
    account = Account(0, frozenset({"Kometa"}))
    poll = Poll(source="a", at=100, answered=True)
    assert account.hear(Progress(collector="x", at=120, polls=(poll,), path=0, paths=2)) == ([], False)
    assert account.hear(Progress(collector="x", at=120, polls=(poll,), path=1, paths=2)) == ([poll], False)
    assert account.hear(Progress(collector="x", at=180, path=0, paths=2)) == ([], False)
    assert account.waiting == {}
