"""Starting and stopping: work in hand, readiness, a stop in a stated order with a deadline."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

DRAIN_SECONDS = 20.0
"""How long a process may take from SIGTERM to its end; then it stops where it is, and nothing is lost by that."""


class Lifecycle:
    """What one process knows about itself: who is ready, what is in hand, whether it is to stop."""

    def __init__(self, *stages: str) -> None:
        self._waiting = set(stages)
        self._in_hand: Counter[str] = Counter()
        self.stopping = asyncio.Event()
        self.started = asyncio.Event()

    def ready(self, stage: str) -> None:
        """A stage is at work."""
        self._waiting.discard(stage)
        if not self._waiting:
            self.started.set()

    @property
    def waiting_for(self) -> frozenset[str]:
        """Stages that are not ready yet."""
        return frozenset(self._waiting)

    @contextmanager
    def hold(self, what: str) -> Iterator[None]:
        """Something is in hand until the block is left."""
        self._in_hand[what] += 1
        try:
            yield
        finally:
            self._in_hand[what] -= 1

    def in_hand(self, what: str) -> int:
        """How many of it."""
        return self._in_hand[what]

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand."""
        return not any(self._in_hand.values())

    def stop_on_signals(self) -> None:
        """SIGTERM and SIGINT ask for a stop; a second one is the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number)

    def _asked_to_stop(self, number: int) -> None:
        if self.stopping.is_set():
            raise SystemExit(128 + number)
        self.stopping.set()
