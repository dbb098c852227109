"""The escalation policy as timelines: wall time in minutes since the incident opened."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alerting.incident import Acknowledged, Closed, Incident, apply
from alerting.policy import CLOSE_SECONDS, REPEATS, Decision, Entry, EntryState, Step, decide
from tests.support.pages import AT, opening

MINUTE = 60.0
SLACK, MAIL, BOSS = (
    Step("slack"),
    Step("mail", "anna@b.example", 10 * MINUTE),
    Step("mail", "boss@b.example", 20 * MINUTE),
)


class Timeline:
    """An incident, its outbox in memory, and a clock that only goes on when it is told."""

    def __init__(self, *steps: Step) -> None:
        self.incident: Incident = opening()[0]
        self.steps = steps
        self.entries: list[Entry] = []
        self.now = AT
        self.decision = Decision()

    def at(self, minute: float) -> list[str]:
        """Decide at that minute, carry it out, and say it: `slack: opened`, `mail dropped: acknowledged`."""
        self.now = max(self.now, AT + minute * MINUTE)
        self.decision = decide(self.incident, self.steps, self.entries, self.now)
        said = []
        for drop in self.decision.drop:
            self.settle(drop.key, "obsolete")
            said.append(f"{drop.key} dropped: {drop.reason}")
        for send in self.decision.send:
            key = f"{send.kind} {send.step}"
            assert key not in {e.key for e in self.entries}, "a key is used once"
            self.entries.append(Entry(key, send.kind, send.step, send.channel, send.to, "waiting", self.now))
            said.append(f"{key} to {send.channel} {send.to}".strip() + f": {send.reason}")
        return said

    def settle(self, key: str, state: EntryState) -> None:
        self.entries = [replace(e, state=state, busy_until=0.0) if e.key == key else e for e in self.entries]

    def begin(self, key: str) -> None:
        """Somebody is sending it just now."""
        self.entries = [replace(e, busy_until=self.now + 60) if e.key == key else e for e in self.entries]

    def acknowledge(self) -> None:
        self.incident = apply(self.incident, Acknowledged(by="Anna"))

    def close(self) -> None:
        self.incident = apply(self.incident, Closed(at=self.now, reason="over"))


def test_each_step_goes_out_at_its_time() -> None:
    t = Timeline(SLACK, MAIL, BOSS)
    assert t.at(0) == ["page 0 to slack: opened"]
    assert t.decision.ask_again == AT + 10 * MINUTE
    t.settle("page 0", "delivered")
    assert t.at(9.99) == []
    assert t.at(10) == ["page 1 to mail anna@b.example: not_acknowledged"]
    assert t.decision.ask_again == AT + 20 * MINUTE
    assert t.at(20) == ["page 2 to mail boss@b.example: not_acknowledged"]


def test_steps_of_the_same_time_go_out_together_and_in_order_of_time() -> None:
    t = Timeline(MAIL, SLACK, Step("hook"))
    assert t.at(0) == ["page 0 to slack: opened", "page 1 to hook: opened"]
    assert t.at(10) == ["page 2 to mail anna@b.example: not_acknowledged"]


def test_a_pager_that_slept_sends_what_it_missed_once() -> None:
    t = Timeline(SLACK, MAIL, BOSS)
    assert [said.split(":")[0] for said in t.at(60)] == [
        "page 0 to slack",
        "page 1 to mail anna@b.example",
        "page 2 to mail boss@b.example",
    ]
    assert t.at(60) == []


def test_a_refused_step_hands_its_turn_to_the_next_one_at_once() -> None:
    t = Timeline(SLACK, MAIL, BOSS)
    t.at(0)
    t.settle("page 0", "refused")
    assert t.at(0.1) == ["page 1 to mail anna@b.example: earlier_step_refused"]
    t.settle("page 1", "delivered")
    assert t.at(9) == []
    assert t.decision.ask_again == AT + 10 * MINUTE
    assert t.at(10) == ["page 2 to mail boss@b.example: earlier_step_refused"]


def test_everybody_refuses() -> None:
    t = Timeline(SLACK, MAIL)
    t.at(0)
    t.settle("page 0", "refused")
    t.at(0)
    t.settle("page 1", "refused")
    assert t.at(29) == []
    assert t.at(30) == ["page 2 to mail anna@b.example: repeated"]


def test_a_channel_that_is_being_retried_does_not_hold_up_the_next_step() -> None:
    t = Timeline(SLACK, MAIL)
    t.at(0)
    assert t.at(10) == ["page 1 to mail anna@b.example: not_acknowledged"]


def test_the_last_step_that_was_not_refused_is_repeated_and_not_for_ever() -> None:
    t = Timeline(SLACK, MAIL)
    t.at(0)
    t.settle("page 0", "delivered")
    t.at(10)
    t.settle("page 1", "refused")
    said = []
    for minute in range(11, 600):
        for line in t.at(minute):
            said.append((minute, line))
            t.settle(line.split(" to ")[0], "delivered")
    assert said == [(40 + 30 * n, f"page {2 + n} to slack: repeated") for n in range(REPEATS)]
    assert t.decision == Decision()


def test_no_repetition_queues_up_behind_one_that_waits() -> None:
    t = Timeline(SLACK)
    t.at(0)
    assert t.at(300) == []
    t.settle("page 0", "delivered")
    assert t.at(300) == ["page 1 to slack: repeated"]


def test_nothing_after_an_acknowledgement() -> None:
    t = Timeline(SLACK, MAIL)
    t.at(0)
    t.acknowledge()
    assert t.at(1) == ["page 0 dropped: acknowledged"]
    assert t.at(600) == []
    assert t.decision == Decision()


def test_what_is_being_sent_is_looked_at_again_afterwards() -> None:
    t = Timeline(SLACK)
    t.at(0)
    t.begin("page 0")
    t.acknowledge()
    assert t.at(0.5) == []
    assert t.decision.ask_again == AT + 60
    assert t.at(1) == ["page 0 dropped: acknowledged"]


def test_who_had_a_page_hears_once_that_it_is_over() -> None:
    t = Timeline(SLACK, MAIL, Step("hook", None, 10 * MINUTE))
    t.at(0)
    t.settle("page 0", "delivered")
    t.at(10)
    t.settle("page 1", "refused")
    assert t.at(70) == []
    t.close()
    assert t.at(70) == ["page 2 dropped: closed", "close 0 to slack: closed"]
    assert t.at(71) == []


def test_a_page_that_arrives_after_the_end_is_followed_by_the_end() -> None:
    t = Timeline(SLACK)
    t.at(0)
    t.begin("page 0")
    t.close()
    assert t.at(0.1) == []
    t.settle("page 0", "delivered")
    assert t.at(0.2) == ["close 0 to slack: closed"]


def test_the_end_is_told_to_the_one_who_acknowledged_too() -> None:
    t = Timeline(SLACK)
    t.at(0)
    t.settle("page 0", "delivered")
    t.acknowledge()
    t.close()
    assert t.at(5) == ["close 0 to slack: closed"]


def test_the_end_is_not_told_for_ever() -> None:
    t = Timeline(SLACK)
    t.at(0)
    t.settle("page 0", "delivered")
    t.close()
    t.at(1)
    assert t.at(1 + CLOSE_SECONDS / 60 - 0.1) == []
    assert t.at(1 + CLOSE_SECONDS / 60) == ["close 0 dropped: too_late"]


def test_without_steps_nothing_is_sent() -> None:
    assert Timeline().at(600) == []


steps_of_any_kind = st.lists(
    st.builds(
        Step,
        channel=st.sampled_from(["slack", "mail", "hook"]),
        to=st.sampled_from([None, "anna@b.example", "boss@b.example"]),
        after=st.integers(0, 40).map(lambda minutes: minutes * MINUTE),
    ),
    min_size=1,
    max_size=5,
)


class AnyHistory(RuleBasedStateMachine):
    """Whatever the channels do, in whatever order: the promises hold after each decision."""

    @initialize(steps=steps_of_any_kind)
    def open(self, steps: list[Step]) -> None:
        self.t = Timeline(*steps)
        self.t.at(0)

    def _waiting(self) -> list[str]:
        return [e.key for e in self.t.entries if e.state == "waiting"]

    @precondition(lambda self: self._waiting())
    @rule(pick=st.integers(0, 20), state=st.sampled_from(["delivered", "refused"]))
    def settle(self, pick: int, state: EntryState) -> None:
        waiting = self._waiting()
        self.t.settle(waiting[pick % len(waiting)], state)
        self.t.at(0)

    @rule(minutes=st.integers(0, 45))
    def wait(self, minutes: int) -> None:
        self.t.at((self.t.now - AT) / MINUTE + minutes)

    @precondition(lambda self: self.t.incident.state == "open")
    @rule()
    def acknowledge(self) -> None:
        self.t.acknowledge()
        self.t.at(0)

    @precondition(lambda self: self.t.incident.state != "closed")
    @rule()
    def close(self) -> None:
        self.t.close()
        self.t.at(0)

    @invariant()
    def promises(self) -> None:
        t = self.t
        assert decide(t.incident, t.steps, t.entries, t.now).nothing, "a decision that was carried out is done"
        assert t.decision.ask_again is None or t.decision.ask_again > t.now
        pages = [e for e in t.entries if e.kind == "page"]
        assert len(pages) <= len(t.steps) + REPEATS
        if t.incident.state == "open":
            reached = sum(AT + step.after <= t.now for step in t.steps)
            refused = sum(e.state == "refused" for e in pages)
            assert len(pages) >= min(len(t.steps), reached + refused)
        else:
            assert not any(e.state == "waiting" for e in pages)
        if t.incident.state == "closed":
            told = [(e.channel, e.to) for e in t.entries if e.kind == "close"]
            assert len(told) == len(set(told))
            assert set(told) == {(e.channel, e.to) for e in pages if e.state == "delivered"}
        else:
            assert len(pages) == len(t.entries)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(steps_of_any_kind, st.integers(0, 400))
def test_waking_up_when_asked_misses_nothing(steps: list[Step], minutes: int) -> None:
    """A pager that only looks when it was told to sends the same, at the same time, as one that looks every minute."""

    def deliver(t: Timeline, minute: float) -> None:
        while sent := t.at(minute):
            for line in sent:
                t.settle(line.split(" to ")[0], "delivered")

    lazy, eager = Timeline(*steps), Timeline(*steps)
    for minute in range(minutes + 1):
        deliver(eager, minute)
    deliver(lazy, 0)
    while lazy.decision.ask_again is not None and lazy.decision.ask_again <= AT + minutes * MINUTE:
        deliver(lazy, (lazy.decision.ask_again - AT) / MINUTE)
    assert lazy.entries == eager.entries
