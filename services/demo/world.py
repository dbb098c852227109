"""The demo world: who publishes what about which brand, and when. Pure: everything follows from a seed.

Two quiet weeks, then (unless it is to stay calm) a crisis over one brand. Posts about each brand come with the shape of
a day, a little more evenly than by chance. Texts come again, as in the real world: short ones because different people write the
same words, long ones because one site copies another's, each at most once in 72 hours on one site.
"""

import math
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from services.demo import crisis as crises
from services.demo.authors import AUTHORS
from services.demo.crisis import Crisis
from services.demo.texts import Genre, Text, load

BRANDS = ("Kometa", "Lumivo", "Zentaro")
BEGINS = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
"""When Tocsin is switched on, a Monday."""
DAY = 86_400.0
BEFORE = DAY
"""For how long the world has gone on by then: what feeds hold at first contact is history."""
QUIET = 14 * DAY
PATIENCE = 12 * 3_600.0
"""Seconds in which a crisis has to be paged."""

BIN = 300.0
RATES = {"negative": 0.32 / BIN, "neutral": 0.20 / BIN, "positive": 0.19 / BIN}
"""Usual mentions of a brand, per second."""
IRRELEVANT = 0.03 / BIN
"""Posts that use a brand's name in another sense, per second."""
SWING = 0.3
"""How much busier than the day's mean the busiest hour is."""
STEP = 60.0
"""Seconds in which a rate counts as constant."""
EVENNESS = 3
"""Posts come a little more evenly than by chance alone (1 would be chance: Poisson). With 1, one world in eight has a
cluster that rightly looks like a crisis: 0.1 false pages a brand and month, but a demo lasts 1.5 brand-months."""
COPY_AGAIN = 72 * 3_600.0
SAY_AGAIN = 3_600.0
"""Seconds until a long (a short) text may stand on the same site again."""
TRIES = 8
"""Draws before all that could be drawn are looked through."""
INDEXED = (180.0, 1_800.0)
"""Seconds after which an article shows up in the alerts, least and most."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where posts are published."""

    name: str
    genres: frozenset[Genre]
    brands: tuple[str, ...] = BRANDS


SITES = (
    Site("murmur", frozenset({"post"})),
    Site("agora", frozenset({"post"})),
    Site("plaza", frozenset({"post"})),
    Site("gazette", frozenset({"news"})),
    Site("courier", frozenset({"news"})),
    Site("notebook", frozenset({"blog"})),
    Site("apps", frozenset({"app_review"}), ("Zentaro",)),
    Site("testberg", frozenset({"app_review", "shop_review"}), ("Kometa", "Lumivo")),
)


@dataclass(frozen=True, slots=True, eq=False)
class Post:
    """A text that somebody has published somewhere."""

    number: int
    site: str
    at: float
    """Seconds since the epoch."""
    author: str
    text: Text

    @property
    def path(self) -> str:
        """Where it can be read on the world's server."""
        return f"/{self.site}/{self.number}"


@dataclass(frozen=True)
class World:
    """All that is ever published in it."""

    seed: int
    crisis: Crisis | None
    posts: Sequence[Post]
    """By time."""
    ends: float
    """When a demo of it is over at the latest; a crisis that was not paged by then was missed."""

    @cached_property
    def listed(self) -> dict[str, list[tuple[float, Post]]]:
        """Feed -> (when it shows up there, post), by time. The alerts list what the press has written."""
        out: dict[str, list[tuple[float, Post]]] = defaultdict(list)
        for post in self.posts:
            out[post.site].append((post.at, post))
            if post.site in ("gazette", "courier"):
                delay = random.Random(f"{self.seed}: indexed {post.number}").uniform(*INDEXED)
                out["alerts"].append((round(post.at + delay), post))
        out["alerts"].sort(key=lambda entry: (entry[0], entry[1].number))
        return out

    def newest(self, feed: str, now: float, count: int) -> list[tuple[float, Post]]:
        """What a feed shows at a time: its last posts, newest first."""
        listed = self.listed[feed]
        end = bisect_right(listed, now, key=lambda entry: entry[0])
        return listed[max(0, end - count) : end][::-1]


def build(seed: int, *, calm: bool = False, afterwards: float = DAY) -> World:
    """The world that a seed stands for; a calm one is the same without its crisis.

    Args:
        afterwards: seconds for which it goes on after the latest end of a demo.
    """
    quiet_ends = BEGINS + QUIET
    crisis = None if calm else crises.draw(seed, BRANDS, quiet_ends, quiet_ends + DAY)
    ends = quiet_ends + DAY if crisis is None else crisis.begins + PATIENCE
    arrivals = sorted(_arrivals(seed, crisis, quiet_ends + DAY + PATIENCE + afterwards), key=lambda a: a.at)
    desk = Desk(random.Random(f"{seed}: texts"))
    posts = [post for arrival in arrivals if (post := desk.publish(arrival)) is not None]
    return World(seed, crisis, posts, ends)


def day_shape(at: float) -> float:
    """How busy an hour is: 1 on average over a day, most at 17:00 UTC, least at 5:00."""
    return 1.0 + SWING * math.cos(2 * math.pi * (at % DAY - 17 * 3_600) / DAY)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody is about to say something about a brand."""

    at: float
    brand: str
    label: str
    scandal: bool = False


def _arrivals(seed: int, crisis: Crisis | None, end: float) -> Iterator[Arrival]:
    for brand in BRANDS:
        kinds = RATES | ({"irrelevant": IRRELEVANT} if brand == "Kometa" else {})
        for label, usual in kinds.items():
            rng = random.Random(f"{seed}: {brand} {label}")
            for at in arrivals(rng, usual, day_shape, (BEGINS - BEFORE, end)):
                yield Arrival(at, brand, label)
    if crisis is not None:
        rng = random.Random(f"{seed}: scandal")
        usual = RATES["negative"]
        for at in arrivals(rng, usual, lambda t: day_shape(t) * crisis.excess(t), (crisis.begins, end)):
            yield Arrival(at, crisis.brand, "negative", scandal=True)


def arrivals(
    rng: random.Random, usual: float, shape: Callable[[float], float], span: tuple[float, float]
) -> Iterator[float]:
    """Times of a renewal process whose gaps, measured in what is expected, are Erlang of order `EVENNESS`.

    Args:
        usual: events per second.
        shape: multiple of them at a time.
        span: first and last second.
    """
    at, end = span
    passed, due = 0.0, rng.gammavariate(EVENNESS, 1 / EVENNESS)
    while at < end:
        expected = usual * shape(at) * STEP
        while passed + expected >= due:
            yield float(int(at + STEP * (due - passed) / expected))
            due += rng.gammavariate(EVENNESS, 1 / EVENNESS)
        passed += expected
        at += STEP


@dataclass
class Desk:
    """Chooses a text and a site for who wants to say something."""

    rng: random.Random
    _numbers: int = 1000
    _last: dict[tuple[str, int], float] = field(default_factory=dict)
    """(site, text) -> when it stood there last."""
    _fitting: dict[tuple[str, str, bool], list[tuple[str, Text]]] = field(default_factory=dict)

    def publish(self, arrival: Arrival) -> Post | None:
        """The post; None where everything that could be said has just been said."""
        pair = self._choose(self._pairs(arrival), arrival.at)
        if pair is None:
            return None
        site, text = pair
        self._last[site, id(text)] = arrival.at
        self._numbers += 1
        return Post(self._numbers, site, arrival.at, self.rng.choice(AUTHORS[text.language]), text)

    def _choose(self, pairs: Sequence[tuple[str, Text]], at: float) -> tuple[str, Text] | None:
        """Any of those that may stand now, each as likely as another."""
        for _ in range(TRIES):
            pair = self.rng.choice(pairs)
            if self._may_stand(*pair, at):
                return pair
        free = [pair for pair in pairs if self._may_stand(*pair, at)]
        return self.rng.choice(free) if free else None

    def _pairs(self, arrival: Arrival) -> list[tuple[str, Text]]:
        key = (arrival.brand, arrival.label, arrival.scandal)
        if key not in self._fitting:
            self._fitting[key] = [
                (site.name, text)
                for text in load()
                if fits(text, *key)
                for site in SITES
                if text.genre in site.genres and set(site.brands) & set(text.labels)
            ]
        return self._fitting[key]

    def _may_stand(self, site: str, text: Text, at: float) -> bool:
        last = self._last.get((site, id(text)))
        return last is None or at - last >= (SAY_AGAIN if text.short else COPY_AGAIN)


def fits(text: Text, brand: str, label: str, scandal: bool) -> bool:
    """Whether a text is what an arrival asks for: in a scandal, any text that was written for the brand's scandal."""
    if scandal:
        return text.phase == "crisis" and _scandal_of(text) == brand
    return text.phase == "quiet" and text.labels.get(brand) == label


def _scandal_of(text: Text) -> str:
    """The brand whose scandal a text was written for: the one it is negative about, or else the first it names."""
    return next((brand for brand, label in text.labels.items() if label == "negative"), next(iter(text.labels)))
