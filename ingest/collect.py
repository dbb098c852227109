"""What an answer of a source means: new mentions, edits, what to remember, when to ask again (pure)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ingest.answer import Answer, Caching, Failure
from ingest.brand import Matcher
from ingest.documents.dates import EARLIEST
from ingest.identity import canonical_url, content_hash, post_identity
from ingest.mention import Mention, mention_id
from ingest.parse import Unreadable
from ingest.schedule import DAY, DueReason, Wishes, next_poll, next_try
from ingest.source import Item, Kind, Parsed, SourceConfig

MAX_ITEMS = 300
"""Items of one document that are looked at; feeds list the newest first."""
MAX_REVISIONS = 24
"""Edits of one post that are followed: a post that changes at every fetch is not edited, it flickers."""
FUTURE = 3_600.0
"""Seconds a post may be ahead of the clock."""

ItemReason = Literal["new", "history", "edited", "unchanged", "twice", "flickers", "no-brand", "too-many", "bad-date"]
"""What became of an item: log field and metric label. `bad-date` is counted beside the others."""
_TRANSIENT = {"dns", "refused", "timeout", "broken-answer", "rate-limited", "status-5xx", "bad-encoding"}


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is remembered of a source between two polls, and the epoch of the lease on it."""

    id: str
    epoch: int = 0
    first_contact: float | None = None
    etag: str | None = None
    last_modified: str | None = None
    body_hash: str | None = None
    failures: int = 0
    last_answer: float | None = None
    posts_per_day: float | None = None
    document_interval: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A post that a source has shown."""

    post: str
    hash: bytes
    revision: int
    history: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """A source as it is configured, and the brands that are looked for."""

    config: SourceConfig
    kind: Kind
    matcher: Matcher


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one poll. Publish the mentions first, then store the rest."""

    state: SourceState
    next_due: float
    due_reason: DueReason
    reason: str
    """`new`, `unchanged`, or why it failed: a word of a bounded set."""
    mentions: Sequence[Mention] = ()
    seen: Sequence[Seen] = ()
    """Every post of the document as it is now."""
    counts: Mapping[ItemReason, int] = field(default_factory=dict)


def decide(
    parsed: Parsed,
    seen: Mapping[str, Seen],
    state: SourceState,
    watched: Watched,
    *,
    answer: Answer,
    body_hash: str,
    now: float,
) -> Decision:
    """A document that was read: which of its items are mentions.

    `seen`: by post, those of this document suffice. `body_hash`: of the body, to know it again.
    """
    counts: Counter[ItemReason] = Counter()
    if len(parsed.items) > MAX_ITEMS:
        counts["too-many"] = len(parsed.items) - MAX_ITEMS
    mentions: list[Mention] = []
    rows: dict[str, Seen] = {}
    for post, item in posts(replace(parsed, items=parsed.items[:MAX_ITEMS]), watched.kind):
        if post in rows:
            counts["twice"] += 1
            continue
        row, reason = _sight(post, item, seen.get(post), state, now)
        rows[post] = row
        found = list(mentions_of(row, item, watched, now)) if reason in ("new", "history", "edited") else []
        counts["no-brand" if reason in ("new", "history", "edited") and not found else reason] += 1
        counts["bad-date"] += item.published is not None and believable(item.published, now) is None
        mentions.extend(found)
    state = replace(
        _answered(state, answer.caching, now),
        body_hash=body_hash,
        posts_per_day=posts_per_day([item.published for item in parsed.items], now),
        document_interval=parsed.interval,
    )
    due, why = next_poll(state.id, now, _wishes(state, watched.config), answer.caching)
    return Decision(
        state, due, why, "new", mentions, tuple(rows.values()), {key: count for key, count in counts.items() if count}
    )


def decide_unchanged(state: SourceState, config: SourceConfig, answer: Answer, now: float) -> Decision:
    """A 304, or the very body of last time. What a 304 leaves out stays as it was."""
    caching = answer.caching
    if answer.unchanged:
        caching = replace(
            caching, etag=caching.etag or state.etag, last_modified=caching.last_modified or state.last_modified
        )
    state = _answered(state, caching, now)
    due, why = next_poll(state.id, now, _wishes(state, config), caching)
    return Decision(state, due, why, "unchanged")


def decide_failed(state: SourceState, config: SourceConfig, failure: Failure | Unreadable, now: float) -> Decision:
    """No items this time; the validators stay, so that the next request is still conditional."""
    state = replace(state, failures=state.failures + 1)
    caching = failure.caching if isinstance(failure, Failure) else Caching()
    transient = failure.reason in _TRANSIENT
    due, why = next_try(
        state.id, now, state.failures, transient=transient, wishes=_wishes(state, config), caching=caching
    )
    return Decision(state, due, why, failure.reason)


def posts(parsed: Parsed, kind: Kind) -> Iterator[tuple[str, Item]]:
    """Identities of a document's items. An address that several of them share is no permalink."""
    items = parsed.items
    addresses = Counter(url for item in items if (url := canonical_url(item.url or "")))
    ids: dict[str, set[str | None]] = {}
    for item in items:
        ids.setdefault(canonical_url(item.url or "") or "", set()).add(item.id)
    for item in items:
        url = canonical_url(item.url or "") or ""
        shared = addresses[url] > 1 and len(ids[url]) > 1 and parsed.stable_ids
        yield post_identity(kind.NAME, item, parsed.stable_ids, kind.PERMALINKS and not shared), item


def believable(published: float | None, now: float) -> float | None:
    """The time of publication, or None where it lies in the future or before feeds existed."""
    return published if published is not None and EARLIEST <= published <= now + FUTURE else None


def posts_per_day(times: Iterable[float | None], now: float) -> float | None:
    """Publishing rate over the last week, or over the time the document reaches back; None where it has no dates."""
    known = [time for published in times if (time := believable(published, now)) is not None]
    if not known:
        return None
    days = max(min(7.0, (now - min(known)) / DAY), 0.25)
    return sum(1 for time in known if time > now - 7 * DAY) / days


def _sight(post: str, item: Item, known: Seen | None, state: SourceState, now: float) -> tuple[Seen, ItemReason]:
    content = content_hash(item)
    if known is None:
        history = _is_history(item, state, now)
        return Seen(post, content, 0, history), "history" if history else "new"
    if known.hash == content:
        return known, "unchanged"
    if known.revision >= MAX_REVISIONS:
        return replace(known, hash=content), "flickers"
    return Seen(post, content, known.revision + 1, known.history), "edited"


def _is_history(item: Item, state: SourceState, now: float) -> bool:
    """What a source held at first contact, or brings up later from before it, is not news."""
    if state.first_contact is None:
        return True
    published = believable(item.published, now)
    return published is not None and published < state.first_contact


def mentions_of(row: Seen, item: Item, watched: Watched, now: float) -> Iterator[Mention]:
    """One mention for each brand that the item names, among those that the source is looked through for."""
    for brand, names in watched.matcher.find(f"{item.title}\n{item.text}").items():
        if watched.config.brands and brand not in watched.config.brands:
            continue
        yield Mention(
            id=mention_id(brand, row.post),
            brand=brand,
            post=row.post,
            source=watched.config.id,
            kind=watched.kind.NAME,
            url=item.url,
            title=item.title,
            text=item.text,
            author=item.author,
            language=item.language,
            names=names,
            stars=item.stars,
            published=believable(item.published, now),
            collected=now,
            history=row.history,
            revision=row.revision,
        )


def _answered(state: SourceState, caching: Caching, now: float) -> SourceState:
    return replace(
        state,
        first_contact=now if state.first_contact is None else state.first_contact,
        etag=caching.etag,
        last_modified=caching.last_modified,
        failures=0,
        last_answer=now,
    )


def _wishes(state: SourceState, config: SourceConfig) -> Wishes:
    return Wishes(config.every, state.document_interval, state.posts_per_day, config.private)
