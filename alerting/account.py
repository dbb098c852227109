"""What an alerter holds of one partition of `mentions.scored`: the log's clock, and a watch for each brand. Pure.

The clock is the minimum over the paths of the latest Progress. A path is a collector and a partition of `mentions`:
what a slow classifier has not forwarded yet holds the clock back, so nothing looks calm that is only late.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from alerting.bins import Bin, Service, bin_start, earliest_change, in_evidence
from alerting.evaluate import Watch, fresh
from classify.sentiment import ScoredMention
from ingest.mention import Poll, Progress

Reason = Literal["counted", "history", "late", "duplicate", "not-about-the-brand", "source-too-new", "unknown-brand"]
RELEVANT = 0.5
"""Probability from which a text that names the brand is about it."""


@dataclass(slots=True)
class Account:
    """One partition, as far as it has been read."""

    partition: int
    brands: frozenset[str]
    """Configured brands whose key falls into this partition."""
    paths: dict[tuple[str, int], float] = field(default_factory=dict)
    """(collector, partition of `mentions`) -> its clock."""
    watches: dict[str, Watch] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    """Brand -> id of its open incident."""
    width: int | None = None
    """How many partitions `mentions` has."""
    judged: float = 0.0
    """End of the last bin that was judged."""
    waiting: dict[tuple[str, float], dict[tuple[str, float], Poll]] = field(default_factory=dict)
    """(collector, its clock) -> polls that have not been told on every path yet: mentions of theirs may be on the way."""

    @property
    def clock(self) -> float | None:
        """Event time up to which everything has arrived; None while a path has not been heard yet."""
        if not self.paths or self.width is None:
            return None
        collectors = {collector for collector, _ in self.paths}
        if len(self.paths) < len(collectors) * self.width:
            return None
        return min(self.paths.values())

    def hear(self, progress: Progress) -> tuple[list[Poll], bool]:
        """Move a collector's clock, never back.

        Returns the polls that are now told on every one of its paths, so that all their mentions have arrived, and
        whether the collector has left for good.
        """
        path = progress.path or 0
        self.width = progress.paths or 1
        key = (progress.collector, path)
        at = float("inf") if progress.leaving else progress.at
        before = self.paths.get(key, at)
        self.paths[key] = at if before == float("inf") else max(at, before)  # one that said goodbye can come back
        if progress.polls:
            told = self.waiting.setdefault((progress.collector, progress.at), {})
            told.update({(poll.source, poll.at): poll for poll in progress.polls})
        mine = [k for k in self.paths if k[0] == progress.collector]
        low = min(self.paths[k] for k in mine) if len(mine) == self.width else float("-inf")
        complete = sorted(k for k in self.waiting if k[0] == progress.collector and k[1] <= low)
        polls = [poll for k in complete for poll in self.waiting.pop(k).values()]
        gone = low == float("inf")
        for k in mine if gone else ():
            del self.paths[k]
        return polls, gone

    def answered(self, polls: Sequence[Poll]) -> dict[tuple[str, str], Service]:
        """Sources that have answered settle the bins before; returns what is to be stored."""
        out: dict[tuple[str, str], Service] = {}
        for poll in polls:
            for brand in (poll.brands or sorted(self.brands)) if poll.answered else ():
                if brand not in self.brands:
                    continue
                watch = self.watches.setdefault(brand, fresh(brand, poll.at))
                before = watch.services.get(poll.source)
                after = (
                    Service(poll.at, poll.at)
                    if before is None
                    else Service(before.since, max(before.last_answer, poll.at), before.share)
                )
                if before is None or after.last_answer > before.last_answer:
                    watch.touch(earliest_change(before, after))
                watch.services[poll.source] = after
                out[brand, poll.source] = after
        return out

    def late(self, scored: ScoredMention) -> bool:
        """Whether the mention's bin has been sealed."""
        watch = self.watches.get(scored.mention.brand)
        return watch is not None and bin_start(scored.mention.time) < watch.sealed

    def in_evidence(self, brand: str, source: str) -> bool:
        """Whether what is seen through a source counts for a brand."""
        watch = self.watches.get(brand)
        service = watch.services.get(source) if watch else None
        return bool(watch and service and in_evidence(service, watch.services, self.clock or service.last_answer))

    def count(self, scored: ScoredMention, new: bool, late: bool) -> Reason:
        """Put a mention into its bin; says why it was not."""
        mention = scored.mention
        watch = self.watches.get(mention.brand)
        reason = _why_not(scored, new, late)
        if reason is not None:
            return reason
        if mention.brand not in self.brands:
            return "unknown-brand"
        if watch is None:
            watch = self.watches[mention.brand] = fresh(mention.brand, mention.collected)
        # Live mentions may come before the Progress that tells of the source's first answer.
        service = watch.services.setdefault(mention.source, Service(mention.collected, mention.collected))
        if not in_evidence(service, watch.services, self.clock or mention.collected):
            return "source-too-new"
        start = bin_start(mention.time)
        bin = watch.bins.setdefault(start, Bin())
        bin.total += 1
        bin.negative += scored.label == "negative"
        bin.unsure += scored.label == "unsure"
        watch.touch(start)
        return "counted"


def _why_not(scored: ScoredMention, new: bool, late: bool) -> Reason | None:
    if not new:
        return "duplicate"
    if scored.mention.history:
        return "history"
    if late:
        return "late"
    return "not-about-the-brand" if scored.relevance < RELEVANT else None
