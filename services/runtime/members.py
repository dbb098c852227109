"""The members of a group that live in one process: who reads which partition of the embedded log."""

import asyncio
from collections.abc import Callable, Sequence

from services.runtime.positions import Positions

SETTLE_SECONDS = 10.0
"""How long a partition that moves waits for the batch in its reader's hands."""


def balance(partitions: int, owned: Sequence[set[int]]) -> list[set[int]]:
    """Spread partitions 0 .. n - 1 evenly over the members, moving as few as possible from what they own."""
    low, extra = divmod(partitions, len(owned))
    kept: list[set[int]] = [set()] * len(owned)
    for member in sorted(range(len(owned)), key=lambda m: -len(owned[m])):
        share = low + (extra > 0)
        extra -= extra > 0
        kept[member] = set(sorted(owned[member])[:share])
    free = sorted(set(range(partitions)).difference(*kept), reverse=True)
    for member in sorted(range(len(owned)), key=lambda m: -len(owned[m])):
        while free and len(kept[member]) < low:
            kept[member].add(free.pop())
    for member in sorted(range(len(owned)), key=lambda m: len(kept[m])):
        if free and len(kept[member]) == low:
            kept[member].add(free.pop())
    return kept


class Team:
    """One group reading one topic. `committed` is what it has done, by partition, also before it is in the file."""

    def __init__(self, ids: Sequence[int], changed: Callable[[], None]) -> None:
        self.ids = ids
        self.committed: dict[int, int] = {}
        self.members: list[Positions] = []
        self._changed = changed
        self._turn = asyncio.Lock()

    async def join(self, member: Positions) -> None:
        """Give a new member its share; the others finish what they have in hand first."""
        async with self._turn:
            self.members.append(member)
            await self._spread()

    async def leave(self, member: Positions) -> None:
        """Give the member's partitions to the others."""
        member.leave()
        async with self._turn:
            if member in self.members:
                self.members.remove(member)
                await self._spread()

    async def _spread(self) -> None:
        if not self.members:
            return
        owned = [member.owned for member in self.members]
        wanted = balance(len(self.ids), owned)
        await asyncio.gather(
            *(m.let_go(o - w, SETTLE_SECONDS) for m, o, w in zip(self.members, owned, wanted, strict=True))
        )
        for member, share in zip(self.members, wanted, strict=True):
            member.assign(share - member.owned)
        self._changed()
