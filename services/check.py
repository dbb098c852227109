"""Tries a configuration: asks each source once, and sends a trial message by each channel. Keeps nothing."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from alerting.channel import Delivered, Outcome, Refused, TryAgain
from alerting.channels import attempt, make, trial
from classify.language import Languages
from ingest.answer import Answer, Failure
from ingest.brand import Matcher
from ingest.collect import SourceState, Watched, believable, decide
from ingest.fetch import Fetcher
from ingest.parse import Parser, Unreadable
from ingest.source import Item, Kind, Parsed, SourceConfig
from ingest.sources import KINDS
from services.runtime.settings import Settings

CONCURRENT = 8

Tick = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one request to a source showed. Times in seconds since the epoch, UTC; intervals in seconds."""

    number: int
    """Its place in `sources`, counted from 0 as `--set` counts."""
    kind: str
    host: str
    terms: str
    failed: str = ""
    """One sentence, or nothing."""
    reason: str = ""
    moved: str | None = None
    """The address that it has moved to for good."""
    items: int = 0
    newest: float | None = None
    languages: tuple[tuple[str, int], ...] = ()
    """Items in each language, most first."""
    brands: tuple[tuple[str, int], ...] = ()
    """Items that name each brand it is asked about."""
    interval: float | None = None
    """How long after this request the next one would come."""
    interval_reason: str = ""

    @property
    def delay(self) -> float | None:
        """What polling adds to the delay of a page, on average: half of the interval."""
        return None if self.interval is None else self.interval / 2


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """What a channel answered to a trial message."""

    name: str
    kind: str
    to: str | None
    failed: str = ""
    said: str = ""
    tried: bool = True


async def try_sources(settings: Settings, now: float, tick: Tick) -> list[SourceReport]:
    """Ask every source once, a few at a time; `tick(1)` after each."""
    fetcher, parser = Fetcher(settings.http.contact), Parser()
    reader = _Reader(fetcher, parser, Matcher(settings.brands), Languages(settings.languages), settings, now)
    turns = asyncio.Semaphore(CONCURRENT)

    async def one(number: int, source: SourceConfig) -> SourceReport:
        async with turns:
            report = await reader.report(number, source)
            tick(1)
            return report

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number, source)) for number, source in enumerate(settings.sources)]
        return [task.result() for task in tasks]
    finally:
        await parser.close()
        await fetcher.close()


@dataclass(frozen=True, slots=True)
class _Reader:
    fetcher: Fetcher
    parser: Parser
    matcher: Matcher
    languages: Languages
    settings: Settings
    now: float

    async def report(self, number: int, source: SourceConfig) -> SourceReport:
        kind = KINDS[source.kind]
        report = SourceReport(number, source.kind, urlsplit(source.url).hostname or source.url, kind.TERMS)
        answer = await self.fetcher.fetch(source.url, private=source.private, obey_robots=kind.OBEYS_ROBOTS)
        if isinstance(answer, Failure):
            return replace(report, failed=answer.sentence, reason=answer.reason)
        reply = await self.parser.parse(source.kind, answer.body, answer.content_type, answer.url)
        if isinstance(reply, Unreadable):
            return replace(report, failed=reply.sentence, reason=reply.reason, moved=answer.moved)
        return self._read(report, source, kind, reply.parsed or Parsed(()), answer)

    def _read(
        self, report: SourceReport, source: SourceConfig, kind: Kind, parsed: Parsed, answer: Answer
    ) -> SourceReport:
        """Decided as the collector would decide at first contact."""
        watched = Watched(source, kind, self.matcher)
        decision = decide(parsed, {}, SourceState(source.id), watched, answer=answer, body_hash="", now=self.now)
        named = Counter(mention.brand for mention in decision.mentions)
        asked = source.brands or tuple(brand.name for brand in self.settings.brands)
        return replace(
            report,
            moved=answer.moved,
            items=len(parsed.items),
            newest=newest(parsed.items, self.now),
            languages=tuple(Counter(map(self._language, parsed.items)).most_common()),
            brands=tuple((name, named[name]) for name in asked),
            interval=decision.next_due - self.now,
            interval_reason=decision.due_reason,
        )

    def _language(self, item: Item) -> str:
        return self.languages.of(f"{item.title}\n{item.text}", item.language)


def newest(items: Sequence[Item], now: float) -> float | None:
    """Latest time of publication that can be believed."""
    return max((time for item in items if (time := believable(item.published, now)) is not None), default=None)


async def try_channels(settings: Settings, now: float, *, send: bool) -> list[ChannelReport]:
    """Send a trial message to everybody whom `paging` names, and by every other channel; without `send` only list them."""
    reports = []
    for number, (name, to) in enumerate(_recipients(settings)):
        report = ChannelReport(name, settings.channels[name].kind, to, tried=send)
        if send:
            report = _judged(report, await _send(settings, name, to, number, now))
        reports.append(report)
    return reports


def _recipients(settings: Settings) -> Iterator[tuple[str, str | None]]:
    yield from dict.fromkeys((step.channel, step.to) for step in settings.paging)
    paged = {step.channel for step in settings.paging}
    yield from ((name, None) for name in settings.channels if name not in paged)


async def _send(settings: Settings, name: str, to: str | None, number: int, now: float) -> Outcome:
    message = trial(now)
    channel = make(settings.channels[name])
    try:
        return await attempt(channel, replace(message, key=f"{message.key}-{number}", to=to or ""))
    finally:
        await channel.close()


def _judged(report: ChannelReport, outcome: Outcome) -> ChannelReport:
    match outcome:
        case Delivered(receipt):
            return replace(report, said=receipt)
        case Refused(reason):
            return replace(report, failed=f"It refused the message for good: {reason}.")
        case TryAgain(reason):
            return replace(report, failed=f"It did not take the message now: {reason}.")
