"""Bookkeeping of a member, and sharing partitions among members."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.runtime.broker import Assigned, NotOwner, OutOfBounds
from services.runtime.members import balance
from services.runtime.positions import Positions, start_of

PARTITIONS = st.integers(0, 2)


class Bookkeeping(RuleBasedStateMachine):
    """Against a naive model: where each owned partition stands, or None before it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[int] = []
        self.positions = Positions(self.gone.extend)
        self.model: dict[int, tuple[int, int] | None] = {}
        self.loop = asyncio.Runner()

    @rule(partition=PARTITIONS)
    def assign(self, partition: int) -> None:
        self.positions.assign([partition])
        self.model[partition] = None

    @rule(partition=PARTITIONS, start=st.integers(0, 20))
    def open(self, partition: int, start: int) -> None:
        self.positions.open(partition, start)
        if partition in self.model and self.model[partition] is None:
            self.model[partition] = (start, start)

    @rule(partition=PARTITIONS, position=st.integers(0, 20), count=st.integers(1, 5))
    def deliver(self, partition: int, position: int, count: int) -> None:
        known = self.model.get(partition)
        expected = known is not None and known[1] == position
        assert self.positions.deliver(partition, position, position + count) == expected
        if known is not None and expected:
            self.model[partition] = (known[0], position + count)

    @rule(partition=PARTITIONS, next_offset=st.integers(0, 30))
    def commit(self, partition: int, next_offset: int) -> None:
        known = self.model.get(partition)
        if known is not None and known[0] <= next_offset <= known[1]:
            self.positions.check(partition, next_offset)
            self.positions.committed(partition, next_offset)
        else:
            with pytest.raises(NotOwner):
                self.positions.check(partition, next_offset)

    @precondition(lambda self: self.model)
    @rule(partition=PARTITIONS)
    def lose(self, partition: int) -> None:
        self.loop.run(self.positions.let_go({partition}, 0))
        assert self.gone.pop() == partition
        self.model.pop(partition, None)

    @invariant()
    def reads_what_is_open(self) -> None:
        assert self.positions.owned == self.model.keys()
        assert self.positions.readable() == {p: known[1] for p, known in self.model.items() if known is not None}

    def teardown(self) -> None:
        self.positions.leave()
        assert set(self.gone) == self.model.keys()
        assert self.positions.owned == set()
        self.loop.close()


TestBookkeeping = Bookkeeping.TestCase


@pytest.mark.asyncio
async def test_a_partition_in_hand_is_let_go_when_it_is_committed_or_the_next_is_asked_for() -> None:
    for commits in (True, False):
        positions = Positions()
        positions.assign([0, 1])
        positions.open(0, 0)
        assert positions.deliver(0, 0, 5)
        leaving = asyncio.create_task(positions.let_go({0}, 60))
        await asyncio.sleep(0)
        assert not leaving.done()
        assert positions.readable() == {}
        assert not positions.deliver(0, 5, 6)
        positions.check(0, 5)
        positions.committed(0, 5) if commits else positions.release()
        await leaving
        assert positions.owned == {1}


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.none() | st.integers(0, 90))
def test_without_an_answer_it_begins_at_the_committed_offset_or_the_oldest_record(
    begin: int, more: int, answer: int, committed: int | None
) -> None:
    known = Assigned(0, begin, begin + more, committed, "log")
    held = committed is not None and begin <= committed <= begin + more
    assert start_of(known, None) == (committed if held else begin)
    if begin <= answer <= begin + more:
        assert start_of(known, answer) == answer
    else:
        with pytest.raises(OutOfBounds, match=f"offset {answer}"):
            start_of(known, answer)


@given(st.integers(0, 30), st.lists(st.integers(0, 8), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_partitions_are_spread_evenly_and_move_as_little_as_possible(partitions: int, sizes: list[int], random) -> None:  # type: ignore[no-untyped-def]
    free = list(range(partitions))
    random.shuffle(free)
    owned = [{free.pop() for _ in range(min(size, len(free)))} for size in sizes]
    wanted = balance(partitions, owned)
    assert sorted(p for share in wanted for p in share) == list(range(partitions))
    assert max(map(len, wanted)) - min(map(len, wanted)) <= 1
    high = -(-partitions // len(owned))
    surplus = sum(max(0, len(o) - high) for o in owned)
    moved = sum(len(o - w) for o, w in zip(owned, wanted, strict=True))
    assert surplus <= moved <= sum(max(0, len(o) - partitions // len(owned)) for o in owned)
