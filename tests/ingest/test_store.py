"""What collectors remember, on SQLite and on PostgreSQL."""

import asyncio

import pytest
from sqlalchemy import func, select

from ingest import store
from ingest.collect import Decision, Seen, SourceState
from ingest.source import SourceConfig
from ingest.tables import seen
from services.runtime.database import Database

NOW = 1_700_000_000.0
CONFIGS = [SourceConfig(kind="feed", url=f"https://{name}.example/feed") for name in "abc"]
IDS = [config.id for config in CONFIGS]
A = IDS[0]


@pytest.fixture(autouse=True)
def configured(database: Database) -> None:
    assert database.run_here(store.sync_sources, CONFIGS) == 3


def claim(
    database: Database, owner: str = "one", now: float = NOW, limit: int = 9, lease: float = 60
) -> list[SourceState]:
    return database.run_here(store.claim_due, IDS, owner=owner, now=now, lease=lease, limit=limit)


def decision(state: SourceState, *rows: Seen, due: float = NOW + 600) -> Decision:
    return Decision(state, due, "pace", "new", (), rows)


def row(post: str, revision: int = 0, content: bytes = b"h" * 16) -> Seen:
    return Seen(post, content, revision, False)


def count(database: Database) -> int:
    return database.run_here(lambda connection: connection.execute(select(func.count()).select_from(seen)).scalar_one())


def test_configured_sources_are_added_once_and_due_at_once(database: Database) -> None:
    assert database.run_here(store.sync_sources, [*CONFIGS, *CONFIGS]) == 0
    assert sorted(state.id for state in claim(database)) == sorted(IDS)


def test_a_lease_keeps_others_out_until_it_ends(database: Database) -> None:
    first = claim(database, limit=2)
    assert [state.epoch for state in first] == [1, 1]
    others = claim(database, "two")
    assert {state.id for state in first} | {state.id for state in others} == set(IDS)
    assert claim(database, "two", NOW + 59) == []
    assert min(database.run_here(store.due_times, IDS).values()) == NOW + 60
    assert [state.epoch for state in claim(database, "two", NOW + 61)] == [2, 2, 2]


def test_only_known_sources_are_claimed_longest_due_first(database: Database) -> None:
    for state, due in zip(claim(database), (300, 100, 200), strict=True):
        assert database.run_here(store.apply, decision(state, due=NOW + due), NOW)
    assert min(database.run_here(store.due_times, IDS).values()) == NOW + 100
    later = database.run_here(store.claim_due, IDS[:2], owner="one", now=NOW + 500, lease=60, limit=9)
    assert {state.id for state in later} == set(IDS[:2])
    assert claim(database, now=NOW + 99) == []
    assert database.run_here(store.due_times, []) == {}


def test_what_was_decided_comes_back_at_the_next_claim(database: Database) -> None:
    (state,) = (state for state in claim(database) if state.id == A)
    after = SourceState(A, state.epoch, NOW, '"1"', "yesterday", "f" * 64, 2, NOW, 3.5, 900.0)
    assert database.run_here(store.apply, decision(after, row("p"), due=NOW), NOW)
    (again,) = (state for state in claim(database, now=NOW + 1) if state.id == A)
    assert again == SourceState(A, 2, NOW, '"1"', "yesterday", "f" * 64, 2, NOW, 3.5, 900.0)


def test_who_lost_the_lease_changes_nothing(database: Database) -> None:
    (slow,) = (state for state in claim(database, "slow") if state.id == A)
    (quick,) = (state for state in claim(database, "quick", NOW + 61) if state.id == A)
    assert not database.run_here(store.apply, decision(slow, row("slow")), NOW + 70)
    assert count(database) == 0
    assert database.run_here(store.apply, decision(quick, row("quick")), NOW + 70)
    assert not database.run_here(store.apply, decision(slow, row("slow")), NOW + 80)
    assert database.run_here(store.load_seen, A, ["slow", "quick"]) == {"quick": row("quick")}


def test_posts_are_remembered_with_their_revision(database: Database) -> None:
    (state,) = (state for state in claim(database) if state.id == A)
    many = [row(f"post {number}") for number in range(1_200)]
    assert database.run_here(store.apply, decision(state, *many), NOW)
    wanted = [r.post for r in many] + ["unknown"]
    assert database.run_here(store.load_seen, A, wanted) == {r.post: r for r in many}
    assert database.run_here(store.load_seen, IDS[1], wanted) == {}
    (state,) = (state for state in claim(database, now=NOW + 700) if state.id == A)
    edited = row("post 7", 1, b"i" * 16)
    assert database.run_here(store.apply, decision(state, edited), NOW + 700)
    assert database.run_here(store.load_seen, A, ["post 7"]) == {"post 7": edited}


def test_posts_seen_longest_ago_are_forgotten_but_never_those_of_the_last_document(database: Database) -> None:
    for number in range(5):
        now = NOW + 1_000 * number
        (state,) = (state for state in claim(database, now=now) if state.id == A)
        rows = [row(f"poll {number} post {post}") for post in range(10)]
        assert database.run_here(store.apply, decision(state, *rows, due=now), now)
    assert database.run_here(store.prune_seen, A, NOW + 4_000, keep=25) == 20
    assert count(database) == 30
    assert database.run_here(store.prune_seen, A, NOW + 4_000, keep=0) == 20
    assert set(database.run_here(store.load_seen, A, [f"poll 4 post {post}" for post in range(10)])) == {
        f"poll 4 post {post}" for post in range(10)
    }


@pytest.mark.asyncio
async def test_collectors_that_claim_together_never_share_a_source(database_url: str, database: Database) -> None:
    configs = [SourceConfig(kind="feed", url=f"https://{number}.example/feed") for number in range(40)]
    database.run_here(store.sync_sources, configs)
    ids = [config.id for config in configs]
    rivals = [Database(database_url) for _ in range(3)]
    claims = (
        rival.run(store.claim_due, ids, owner=str(number), now=NOW, lease=60, limit=5)
        for _ in range(4)
        for number, rival in enumerate(rivals)
    )
    taken = [state.id for states in await asyncio.gather(*claims) for state in states]
    for rival in rivals:
        rival.close()
    assert len(taken) == len(set(taken))
    assert len(taken) >= 5
