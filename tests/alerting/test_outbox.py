"""The outbox on SQLite and PostgreSQL: nothing is sent that was not claimed, nothing is claimed twice."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from alerting import incident_store, outbox
from alerting import tables as t
from alerting.acknowledgement import acknowledge
from alerting.channel import Delivered, Refused, TryAgain
from alerting.incident import Closed, Incident, NotPossible, apply
from alerting.outbox import LEASE_SECONDS, LONGEST_DELAY, LONGEST_WAIT, Claimed
from alerting.policy import Step
from services.runtime.database import Database
from tests.support.pages import AT, QUOTES, opening

STEPS = (Step("slack"), Step("mail", "anna@b.example", 600.0))


def open_one(connection: Connection, brand: str = "Kometa", steps: tuple[Step, ...] = STEPS) -> Incident:
    """As the alerter does it: incident and first pages in one transaction."""
    incident, event = opening(brand)
    incident_store.append(connection, incident, event, AT)
    return outbox.enqueue_due(connection, incident, steps, AT)[0]


def close(connection: Connection, incident: str, now: float) -> None:
    current = incident_store.load_incident(connection, incident, lock=True)
    assert current is not None
    event = Closed(at=now, reason="Back near the usual level.")
    changed = apply(current, event)
    incident_store.append(connection, changed, event, now)
    outbox.enqueue_due(connection, changed, STEPS, now)


def rows(database: Database) -> list[tuple[str, str, str]]:
    """(key, state, outcome) in the order of their writing."""
    read = select(t.outbox.c.key, t.outbox.c.state, t.outbox.c.outcome).order_by(t.outbox.c.id)
    return database.run_here(lambda connection: [tuple(row) for row in connection.execute(read)])


def claim_one(database: Database, now: float, worker: str = "w", channel: str = "slack") -> Claimed:
    (claimed,) = database.run_here(outbox.claim, worker, channel, 10, now)
    return claimed


def test_the_first_page_is_written_with_the_incident_or_not_at_all(database: Database) -> None:
    def killed(connection: Connection) -> None:
        open_one(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.run_here(killed)
    assert rows(database) == []
    incident = database.run_here(open_one)
    assert rows(database) == [(f"{incident.id}-0-page", "waiting", "")]


def test_the_page_is_what_the_incident_says(database: Database) -> None:
    incident = database.run_here(open_one)
    message = claim_one(database, AT).message
    assert (message.key, message.to, message.attempt, message.at) == (f"{incident.id}-0-page", "", 1, AT)
    assert message.page.brand == "Kometa"
    assert list(message.page.quotes) == list(QUOTES)
    assert message.page.acknowledge == f"tocsin ack {incident.id}"
    assert msgspec.to_builtins(message.page)["kind"] == "page"


def test_deciding_again_writes_nothing_again(database: Database) -> None:
    incident = database.run_here(open_one)
    _, decision = database.run_here(outbox.enqueue_due, incident, STEPS, AT)
    assert decision.nothing
    assert len(rows(database)) == 1


def test_an_escalation_is_an_event_of_the_incident(database: Database) -> None:
    incident = database.run_here(open_one)
    changed, _ = database.run_here(outbox.enqueue_due, incident, STEPS, AT + 600)
    assert changed.events == 2
    events = database.run_here(
        lambda c: [tuple(r) for r in c.execute(select(t.incident_event.c.kind, t.incident_event.c.body))]
    )
    assert [kind for kind, _ in events] == ["opened", "sent"]
    assert events[1][1] == {
        "type": "sent",
        "step": 1,
        "channel": "mail",
        "outcome": "escalated",
        "reason": "not_acknowledged",
    }


def test_a_claim_counts_the_attempt_and_keeps_others_away(database: Database) -> None:
    database.run_here(open_one)
    first = claim_one(database, AT)
    assert database.run_here(outbox.claim, "other", "slack", 10, AT + LEASE_SECONDS - 1) == []
    again = claim_one(database, AT + LEASE_SECONDS, "other")
    assert (first.message.attempt, again.message.attempt) == (1, 2)
    assert first.message.key == again.message.key


def test_an_outcome_is_written_once_whoever_brings_it(database: Database) -> None:
    database.run_here(open_one)
    slow = claim_one(database, AT, "slow")
    quick = claim_one(database, AT + LEASE_SECONDS, "quick")
    # The lease of the slow one is over: it may still tell that the page arrived, but it plans nothing any more.
    assert not database.run_here(outbox.settle, slow, TryAgain("http_500"), AT + 61)
    assert database.run_here(outbox.settle, slow, Delivered("ok"), AT + 62)
    assert not database.run_here(outbox.settle, quick, Refused("http_404"), AT + 63)
    assert [state for _, state, _ in rows(database)] == ["delivered"]


def test_what_failed_is_due_again_later(database: Database) -> None:
    database.run_here(open_one)
    claimed = claim_one(database, AT)
    outcome = TryAgain("http_429", after=90.0, ambiguous=True)
    assert database.run_here(outbox.settle, claimed, outcome, AT + 1)
    assert database.run_here(outbox.next_due) == AT + 91
    assert database.run_here(outbox.claim, "w", "slack", 10, AT + 90.9) == []
    assert claim_one(database, AT + 91).message.attempt == 2
    assert rows(database)[0][2] == "http_429 (it may have arrived)"


def test_the_next_due_leaves_out_full_channels_and_knows_leases(database: Database) -> None:
    assert database.run_here(outbox.next_due) is None
    database.run_here(open_one)
    assert database.run_here(outbox.next_due) == AT
    assert database.run_here(outbox.next_due, ["slack"]) is None
    claim_one(database, AT)
    assert database.run_here(outbox.next_due) == AT + LEASE_SECONDS
    assert database.run_here(outbox.oldest_waiting) == AT


def test_channels_that_are_gone_are_found(database: Database) -> None:
    database.run_here(open_one)
    assert database.run_here(outbox.claim_unknown, "w", ["slack", "mail"], 10, AT) == []
    (claimed,) = database.run_here(outbox.claim_unknown, "w", ["mail"], 10, AT)
    assert claimed.channel == "slack"


def test_an_acknowledgement_stops_what_waits_but_not_what_is_being_sent(database: Database) -> None:
    incident = database.run_here(open_one, "Kometa", (Step("slack"), Step("mail")))
    claim_one(database, AT)
    database.run_here(acknowledge, incident.id, "Anna", AT + 5)
    assert [row[1:] for row in rows(database)] == [("waiting", ""), ("obsolete", "acknowledged")]


def test_nobody_acknowledges_what_is_not_there_or_over(database: Database) -> None:
    incident = database.run_here(open_one)
    with pytest.raises(NotPossible, match="There is no incident nonsense"):
        database.run_here(acknowledge, "nonsense", "Anna", AT)
    database.run_here(acknowledge, incident.id, "Anna", AT)
    with pytest.raises(NotPossible, match="acknowledged by Anna already"):
        database.run_here(acknowledge, incident.id, "Bob", AT)
    database.run_here(close, incident.id, AT + 60)
    with pytest.raises(NotPossible, match="is closed"):
        database.run_here(acknowledge, incident.id, "Bob", AT)


def test_a_close_before_the_page_was_ever_sent_says_nothing(database: Database) -> None:
    incident = database.run_here(open_one)
    database.run_here(close, incident.id, AT + 60)
    assert [row[1:] for row in rows(database)] == [("obsolete", "closed")]
    assert database.run_here(outbox.incidents_to_look_at) == []


def test_a_page_that_arrives_when_nobody_waits_for_it_any_more_has_arrived(database: Database) -> None:
    incident = database.run_here(open_one)
    claimed = claim_one(database, AT)
    database.run_here(close, incident.id, AT + LEASE_SECONDS)
    assert [row[1] for row in rows(database)] == ["obsolete"]
    assert not database.run_here(outbox.settle, claimed, Refused("http_404"), AT + 61)
    assert database.run_here(outbox.settle, claimed, Delivered("ok"), AT + 61)
    assert [row[1] for row in rows(database)] == ["delivered"]


def test_a_close_after_a_page_says_so_there(database: Database) -> None:
    incident = database.run_here(open_one)
    database.run_here(outbox.settle, claim_one(database, AT), Delivered("ok"), AT)
    database.run_here(close, incident.id, AT + 60)
    assert [(key.rpartition("-")[2], state) for key, state, _ in rows(database)] == [
        ("page", "delivered"),
        ("close", "waiting"),
    ]
    page = claim_one(database, AT + 60).message.page
    assert (page.kind, page.reason, page.acknowledge) == ("close", "Back near the usual level.", "")
    assert database.run_here(outbox.incidents_to_look_at) == [incident.id]


def test_many_workers_claim_everything_once(database: Database, database_url: str) -> None:
    brands = [f"Brand {n}" for n in range(60)]
    for brand in brands:
        database.run_here(open_one, brand)

    def work(worker: int) -> list[str]:
        mine = Database(database_url, threads=1)
        found: list[str] = []
        try:
            while claimed := mine.run_here(outbox.claim, f"worker {worker}", "slack", 3, AT):
                found += [c.message.key for c in claimed]
        finally:
            mine.close()
        return found

    with ThreadPoolExecutor(6) as pool:
        claimed = [key for keys in pool.map(work, range(6)) for key in keys]
    # SKIP LOCKED may leave a worker empty-handed while another holds the last rows: what was claimed was claimed once.
    assert len(claimed) == len(set(claimed))
    left = database.run_here(outbox.claim, "last", "slack", 100, AT)
    assert sorted(claimed + [c.message.key for c in left]) == sorted(key for key, _, _ in rows(database))


@given(st.text(max_size=40), st.integers(1, 10_000), st.none() | st.floats(0, 1e9))
def test_delays_are_bounded_and_obey(key: str, attempt: int, after: float | None) -> None:
    seconds = outbox.delay(key, attempt, after)
    assert 2.5 <= seconds <= max(LONGEST_DELAY, LONGEST_WAIT)
    assert seconds >= min(after or 0.0, LONGEST_WAIT)
    assert seconds == outbox.delay(key, attempt, after)


def test_delays_grow_and_differ_between_messages() -> None:
    assert [round(outbox.delay("a", n, None) / (5 * 2 ** (n - 1)), 3) <= 1 for n in range(1, 7)] == [True] * 6
    assert outbox.delay("a", 5, None) > outbox.delay("a", 1, None) * 4
    assert len({outbox.delay(f"key {n}", 3, None) for n in range(20)}) == 20
