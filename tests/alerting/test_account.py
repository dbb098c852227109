"""The log's clock over paths: what holds it back, and who may leave and come back."""

from alerting.account import Account
from ingest.mention import Poll, Progress


def progress(at: float, path: int, *, leaving: bool = False, polls: tuple[Poll, ...] = ()) -> Progress:
    return Progress(collector="c", at=at, polls=polls, leaving=leaving, path=path, paths=2)


def test_a_goodbye_on_one_path_only_does_not_switch_it_off() -> None:
    """The collector could tell one partition of two, then came back under its name."""
    account = Account(0, frozenset())
    for path in (0, 1):
        account.hear(progress(1_000, path))
    account.hear(progress(1_100, 0, leaving=True))
    assert account.clock == 1_000
    account.hear(progress(2_000, 0))
    account.hear(progress(3_000, 1))
    assert account.clock == 2_000


def test_polls_settle_when_every_path_has_told_of_them() -> None:
    account = Account(0, frozenset())
    poll = Poll(source="s", at=990, answered=True)
    account.hear(progress(900, 1))
    assert account.hear(progress(1_000, 0, polls=(poll,))) == ([], False)
    assert account.hear(progress(1_000, 1, polls=(poll,))) == ([poll], False)


def test_who_has_left_on_every_path_is_waited_for_no_more() -> None:
    account = Account(0, frozenset())
    for path in (0, 1):
        account.hear(progress(1_000, path))
    assert account.hear(progress(1_100, 0, leaving=True)) == ([], False)
    assert account.hear(progress(1_100, 1, leaving=True)) == ([], True)
    assert account.clock is None
