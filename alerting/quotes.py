"""What a page shows besides the numbers: where the negative mentions come from, and what three of them say. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from alerting import tables as t
from alerting.channel import Quote
from alerting.incident import Evidence

QUOTES = 3
SAME = 0.5
"""Share of common words from which two quotes say the same."""
MOST_READ = 1_000
"""Bounds what is read of one incident; the surest are read first."""


def gather(connection: Connection, brand: str, since: float, until: float, sources: Sequence[str]) -> Evidence:
    """Read the negative mentions of a span that were counted, and choose from them."""
    rows = connection.execute(
        select(t.mention)
        .where(
            t.mention.c.brand == brand,
            t.mention.c.time >= since,
            t.mention.c.time < until,
            t.mention.c.label == "negative",
            ~t.mention.c.history,
            t.mention.c.source.in_(list(sources)),
        )
        .order_by(t.mention.c.negative.desc(), t.mention.c.id)
        .limit(MOST_READ)
    ).all()
    return Evidence(
        sources=shares(row.source for row in rows),
        languages=shares(row.language for row in rows),
        quotes=tuple(choose([quote(row) for row in rows])),
    )


def quote(row: Any) -> Quote:
    """A stored mention as a page shows it."""
    said = f"{row.title}\n{row.text}" if row.title and row.text else row.title or row.text
    return Quote(
        text=said, url=row.url, author=row.author, language=row.language, source=row.source, published=row.time
    )


def shares(names: Iterable[str]) -> tuple[tuple[str, float], ...]:
    """Shares that sum to 1, largest first, equal ones by name."""
    counts = Counter(names)
    whole = sum(counts.values())
    return tuple((name, n / whole) for name, n in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def choose(quotes: Sequence[Quote], count: int = QUOTES) -> list[Quote]:
    """The first ones that differ in what they say; other sources and languages than those chosen go first."""
    chosen: list[Quote] = []
    left = list(quotes)
    while left and len(chosen) < count:
        sources = {q.source for q in chosen}
        languages = {q.language for q in chosen}
        best = min(
            range(len(left)),
            key=lambda i: ((left[i].source in sources) + (left[i].language in languages), left[i].url is None, i),
        )
        candidate = left.pop(best)
        if all(alike(candidate.text, q.text) < SAME for q in chosen):
            chosen.append(candidate)
    return chosen


def alike(one: str, other: str) -> float:
    """Jaccard similarity of the words; of pairs of characters where there are no spaces."""
    a, b = _features(one), _features(other)
    return len(a & b) / len(a | b) if a or b else 1.0


def _features(text: str) -> set[str]:
    words = re.findall(r"\w+", text.casefold())
    if sum(map(len, words)) > 12 * max(1, len(words)):
        joined = "".join(words)
        return {joined[i : i + 2] for i in range(len(joined) - 1)}
    return set(words)
