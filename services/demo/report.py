"""What came of a demo: read from Tocsin's database afterwards and held against what the world knows."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection, func, select

from alerting import tables as t
from alerting.channel import Page
from alerting.incident import Incident
from services.demo.world import Post, World


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often Tocsin's label is the author's, each different text about each brand once."""

    texts: int
    same: int
    unsure: int
    """Tocsin abstains; counted as not the same."""

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.same / self.texts if self.texts else 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """What Tocsin's database holds at the end."""

    mentions: int
    """Published after it was switched on."""
    history: int
    """Held by the feeds at first contact: kept, never counted."""
    incidents: Sequence[Incident]
    """By time."""
    paged_at: Mapping[str, float]
    """Incident -> when its first page was delivered; not there where none was."""
    page: Page | None
    """The first page of the newest incident."""
    agreement: Mapping[str, Agreement]
    """By language."""


def read(connection: Connection, world: World) -> Found:
    """Everything that the demo reports, in one transaction."""
    history = connection.execute(select(func.count()).where(t.mention.c.history)).scalar() or 0
    mentions = connection.execute(select(func.count()).select_from(t.mention)).scalar() or 0
    snapshots = connection.execute(select(t.incident.c.snapshot).order_by(t.incident.c.opened)).scalars()
    incidents = [msgspec.convert(snapshot, Incident) for snapshot in snapshots]
    delivered = connection.execute(
        select(t.outbox.c.incident, func.min(t.outbox.c.settled))
        .where(t.outbox.c.state == "delivered", t.outbox.c.key.like("%-page"))
        .group_by(t.outbox.c.incident)
    )
    paged_at: dict[str, float] = {incident: at for incident, at in delivered}  # noqa: C416 - rows are no tuples to mypy
    page = None
    if incidents:
        first = select(t.outbox.c.page).where(t.outbox.c.incident == incidents[-1].id).order_by(t.outbox.c.id).limit(1)
        page = msgspec.convert(connection.execute(first).scalar(), Page)
    return Found(mentions - history, history, incidents, paged_at, page, agreement(connection, world.posts))


def agreement(connection: Connection, posts: Sequence[Post]) -> dict[str, Agreement]:
    """Compare labels, matched by the address of a post; the brand's name in another sense has no label to compare."""
    by_path = {post.path: post.text for post in posts}
    said: dict[tuple[str, int, str], tuple[str, str]] = {}
    for url, brand, label in connection.execute(select(t.mention.c.url, t.mention.c.brand, t.mention.c.label)):
        text = by_path.get(urlsplit(url or "").path)
        author = text.labels.get(brand) if text else None
        if text is not None and author is not None and author != "irrelevant":
            said[text.language, id(text), brand] = (label, author)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (language, _, _), (label, author) in said.items():
        counts[language].update({"texts": 1, "same": int(label == author), "unsure": int(label == "unsure")})
    return {language: Agreement(c["texts"], c["same"], c["unsure"]) for language, c in sorted(counts.items())}


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome, as `--json` writes it."""

    world: World
    found: Found
    received: Mapping[str, int]
    seconds: float
    demo_ended: float

    @property
    def caught(self) -> Incident | None:
        """The incident that is the crisis, if its page was delivered."""
        return next((i for i in self.found.incidents if self._is_the_crisis(i) and i.id in self.found.paged_at), None)

    @property
    def false_pages(self) -> list[Incident]:
        """Incidents that are not the crisis."""
        return [incident for incident in self.found.incidents if not self._is_the_crisis(incident)]

    @property
    def minutes(self) -> float | None:
        """From the beginning of the crisis to its first delivered page."""
        if self.caught is None or self.world.crisis is None:
            return None
        return (self.found.paged_at[self.caught.id] - self.world.crisis.begins) / 60

    @property
    def good(self) -> bool:
        """Whether the crisis was paged on every channel, and nothing else."""
        wanted = self.world.crisis is not None
        complete = all(self.received.values()) if wanted else not any(self.received.values())
        return (self.caught is not None) == wanted and not self.false_pages and complete

    def _is_the_crisis(self, incident: Incident) -> bool:
        crisis = self.world.crisis
        return crisis is not None and incident.brand == crisis.brand and incident.opened > crisis.begins

    def as_json(self) -> dict[str, Any]:
        """Times as ISO 8601 UTC, null where there is none; shares from 0 to 1."""
        crisis, caught = self.world.crisis, self.caught
        return {
            "seed": self.world.seed,
            "calm": crisis is None,
            "brand": crisis.brand if crisis else None,
            "size": crisis.size if crisis else None,
            "shape": crisis.shape if crisis else None,
            "crisis_began": iso(crisis.begins) if crisis else None,
            "paged_at": iso(self.found.paged_at[caught.id]) if caught else None,
            "minutes": None if self.minutes is None else round(self.minutes, 1),
            "false_pages": len(self.false_pages),
            "paged": [
                {
                    "incident": i.id,
                    "brand": i.brand,
                    "opened": iso(i.opened),
                    "since": iso(i.since),
                    "observed": i.observed,
                    "expected": round(i.expected, 2),
                }
                for i in self.found.incidents
            ],
            "mentions": self.found.mentions,
            "history": self.found.history,
            "agreement": {language: round(a.share, 4) for language, a in self.found.agreement.items()},
            "unsure": {
                language: round(a.unsure / a.texts, 4) for language, a in self.found.agreement.items() if a.texts
            },
            "received": dict(self.received),
            "ended": iso(self.demo_ended),
            "good": self.good,
            "seconds": round(self.seconds, 1),
        }


def iso(at: float) -> str:
    """ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(round(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
