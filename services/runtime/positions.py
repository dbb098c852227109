"""What one member of a group may deliver and commit: bookkeeping without I/O, the same for both logs."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from services.runtime.broker import Assigned, NotOwner, OutOfBounds


def start_of(assigned: Assigned, answer: int | None) -> int:
    """Where to begin: what `starts` answered, else the committed offset, else the oldest record.

    A committed offset that the log does not hold (retention passed it, or the log is another one) gives the oldest
    record: reading again is safe. An answer that it does not hold raises OutOfBounds.
    """
    if answer is None:
        known = assigned.committed
        return known if known is not None and assigned.begin <= known <= assigned.end else assigned.begin
    if assigned.begin <= answer <= assigned.end:
        return answer
    raise OutOfBounds(
        f"Reading of partition {assigned.partition} was to begin at offset {answer}, but the log {assigned.identity} "
        f"holds {assigned.begin} to {assigned.end}: it is another log, or it lost records. Begin at one of these."
    )


@dataclass(slots=True)
class _Lane:
    start: int
    delivered: int


class Positions:
    """The partitions of one member. `fresh` are those that nobody has asked `starts` about yet; `epoch` grows with
    every assignment, so that an answer that came too late is not used; `left` ends the reading.

    A batch is in the reader's hands from its delivery until it is committed or the next one is asked for; a partition
    that has to be given up waits for that, so that the work is not done twice.
    """

    def __init__(self, lost: Callable[[Collection[int]], None] | None = None) -> None:
        """`lost` is told of partitions that this member has given up."""
        self.left = False
        self._lost = lost or (lambda _: None)
        self.epoch = 0
        self.fresh: set[int] = set()
        self._lanes: dict[int, _Lane] = {}
        self._leaving: set[int] = set()
        self._held: int | None = None
        self._free = asyncio.Event()
        self._free.set()

    @property
    def owned(self) -> set[int]:
        """Partitions of this member, fresh or open."""
        return self.fresh | self._lanes.keys()

    def assign(self, partitions: Iterable[int]) -> None:
        """These are ours from now on; nothing of them is delivered before `open`."""
        self.epoch += 1
        for partition in partitions:
            self._lanes.pop(partition, None)
            self._leaving.discard(partition)
            self.fresh.add(partition)

    def open(self, partition: int, start: int) -> None:
        """Deliver from `start`, unless the partition was lost while `starts` was asked."""
        if partition in self.fresh:
            self.fresh.remove(partition)
            self._lanes[partition] = _Lane(start, start)

    def readable(self) -> dict[int, int]:
        """Next offset to deliver of each open partition."""
        return {p: lane.delivered for p, lane in self._lanes.items() if p not in self._leaving}

    def deliver(self, partition: int, position: int, next_offset: int) -> bool:
        """Take what was read from `position` up to `next_offset` into the reader's hands.

        False if the partition was lost, or has been opened elsewhere, while it was read: drop it.
        """
        lane = self._lanes.get(partition)
        if lane is None or partition in self._leaving or lane.delivered != position:
            return False
        lane.delivered = next_offset
        self._held = partition
        self._free.clear()
        return True

    def check(self, partition: int, next_offset: int) -> None:
        """Raise NotOwner unless this member was given what comes before `next_offset` and still has the partition."""
        lane = self._lanes.get(partition)
        if lane is None or not lane.start <= next_offset <= lane.delivered:
            raise NotOwner(f"Partition {partition} is read by another member now; its batch will be delivered there.")

    def committed(self, partition: int, next_offset: int) -> None:
        """Everything before `next_offset` is done."""
        lane = self._lanes.get(partition)
        if partition == self._held and (lane is None or next_offset >= lane.delivered):
            self.release()

    def release(self) -> None:
        """The reader has nothing in its hands: it asked for the next batch, or has gone."""
        self._held = None
        self._free.set()

    def leave(self) -> None:
        """The member has left its group."""
        self.left = True
        self.release()
        gone = self.owned
        self.fresh.clear()
        self._lanes.clear()
        self._lost(gone)

    async def let_go(self, partitions: Collection[int], within: float) -> None:
        """Give partitions up: at once, or when the batch in the reader's hands is settled, at most `within` seconds."""
        self._leaving.update(partitions)
        if self._held in partitions:
            try:
                async with asyncio.timeout(within):
                    await self._free.wait()
            except TimeoutError:
                pass
        for partition in partitions:
            self._lanes.pop(partition, None)
        self.fresh.difference_update(partitions)
        self._leaving.difference_update(partitions)
        self._lost(partitions)
