"""What the demo shows on the terminal."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from alerting import wording
from alerting.channel import Page
from services.demo import texts
from services.demo.config import Addresses
from services.demo.feeds import FEEDS
from services.demo.receivers import Inbox, Received
from services.demo.report import Report
from services.demo.world import BEGINS, BRANDS, DAY, World

BAR, LABEL = 14, 14
"""Characters of the longest bar, and of the longest name beside one."""
SHARES = 5
"""Bars before the rest is added up."""
PICTURE_WIDTH = 100


class Told(Protocol):
    """Is told how far the demo has come."""

    def __call__(self, now: float) -> None:
        """`now`: the demo's time."""
        ...


class Screen:
    """Prints with rich; a progress bar only on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._day = BEGINS // DAY

    def world(self, world: World, base: str) -> None:
        """What is about to be watched."""
        languages = " ".join(texts.LANGUAGES)
        self._say(
            f"[bold]A small world[/] (seed {world.seed}): {', '.join(BRANDS)} are talked about in {languages}, "
            f"in {len(FEEDS)} places on {base}, with {len(texts.load())} texts written by hand.",
            f"Tocsin is switched on at {moment(BEGINS)} and asks them as politely as it would ask the real ones. "
            + ("Nothing happens for two weeks and a day." if world.crisis is None else "Two quiet weeks, then something happens."),
        )  # fmt: skip

    @contextmanager
    def progress(self, end: float) -> Iterator[Told]:
        """A bar over the demo's time, up to `end` at most."""
        if not self.console.is_terminal:
            yield self._daily
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(moment(BEGINS), total=end - BEGINS)
            yield lambda now: progress.update(task, completed=now - BEGINS, description=moment(now))

    def _daily(self, now: float) -> None:
        """A line for each day, where no bar can be shown."""
        if now // DAY > self._day:
            self._day = now // DAY
            self._say(f"{moment(now)} ...")

    def outcome(self, report: Report, inbox: Inbox, sources: Mapping[str, str]) -> None:
        """The page, who has received it, how the labels agree, and the verdict."""
        if report.found.page is not None:
            self.console.print(page_panel(report.found.page, sources))
        self._received(inbox)
        self.console.print(agreement_table(report))
        self.console.print(verdict(report))

    def kept(self, addresses: Addresses, folder: Path) -> None:
        """Where to look while it goes on."""
        self._say(
            f"It goes on, at the speed of the real clock, until Ctrl-C. The world: {addresses.base}{FEEDS[0].path}. "
            f"Tocsin: http://{addresses.health}/metrics. Its files: {folder}. "
            f"Who looks after it: tocsin incidents --config {folder / 'tocsin.yaml'}"
        )

    def _received(self, inbox: Inbox) -> None:
        for name, received in (("The Slack webhook", inbox.slack), ("The other webhook", inbox.webhook)):
            if received:
                self.console.print(_message(name, received[0], _said(received[0].content)))
        if inbox.email:
            self.console.print(_message("The mail server", inbox.email[0], _mail(inbox.email[0].content)))

    def _say(self, *lines: str) -> None:
        for one in lines:
            self.console.print(one, highlight=False, soft_wrap=True)


def picture(page: Page, sources: Mapping[str, str], file: Path) -> None:
    """Write the page as an SVG."""
    console = Console(record=True, width=PICTURE_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(page_panel(page, sources))
    console.save_svg(str(file), title="Tocsin pages", clear=True)


def page_panel(page: Page, sources: Mapping[str, str]) -> Panel:
    """A page as a terminal shows it.

    Args:
        page: what was sent.
        sources: id of a source -> what people call it.
    """
    facts = Table.grid(padding=(0, 2))
    for name, value in wording.facts(page):
        if name not in ("Languages", "Sources"):
            facts.add_row(Text(name, style="dim"), Text(value))
    named = [(sources.get(name, name), share) for name, share in page.sources]
    shares = Table.grid(padding=(0, 4))
    shares.add_row(_bars("Where from", named), _bars("Language", list(page.languages)))
    parts: list[RenderableType] = [facts, Text(), shares]
    for said, origin, url in wording.quotes(page):
        parts += [Text(), Text(f"“{said}”", style="italic"), Text(origin, style="dim")]
        parts += [Text(url, style="blue")] if url else []
    parts += [Text(), Text(wording.advice(page), style="bold")]
    return Panel(
        Group(*parts), title=Text(wording.headline(page), style="bold red"), border_style="red", padding=(1, 2)
    )


def _bars(title: str, parts: list[tuple[str, float]]) -> Table:
    """Shares as bars, largest first; the rest of many is added up."""
    shown = parts[:SHARES]
    if rest := sum(share for _, share in parts[SHARES:]):
        shown.append(("others", rest))
    table = Table.grid(padding=(0, 1))
    table.add_row(Text(title, style="dim", no_wrap=True))
    longest = max((share for _, share in shown), default=1.0)
    for name, share in shown:
        named = Text(wording.cut(wording.clean(name), LABEL), no_wrap=True)
        bar = Text("█" * max(1, round(BAR * share / longest)), style="red", no_wrap=True)
        table.add_row(named, bar, Text(f"{share:.0%}", no_wrap=True))
    return table


def _message(title: str, received: Received[Any], content: str) -> Panel:
    return Panel(
        Text(content), title=f"{title} received at {moment(received.at)}", border_style="green", title_align="left"
    )


def _said(payload: Any) -> str:
    """The texts of a Slack message, or the short values of another one."""
    if "blocks" in payload:
        blocks = [block.get("text") for block in payload["blocks"]]
        return "\n".join(text["text"] for text in blocks if text)
    return "\n".join(f"{key}: {value}" for key, value in payload.items() if not isinstance(value, list | dict))


def _mail(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    heads = "\n".join(f"{name}: {mail[name]}" for name in ("Subject", "From", "To", "Message-ID"))
    return f"{heads}\n\n{body.get_content().strip() if body else ''}"


def agreement_table(report: Report) -> Table:
    """How often Tocsin's label was the author's."""
    table = Table(title="Tocsin's label against the author's", title_justify="left", caption="each text once")
    table.add_column("language")
    for name in ("texts", "same label", "unsure"):
        table.add_column(name, justify="right")
    for language, found in report.found.agreement.items():
        table.add_row(language, str(found.texts), f"{found.share:.0%}", f"{found.unsure / max(1, found.texts):.0%}")
    return table


def verdict(report: Report) -> Text:
    """What came of it, in a few sentences."""
    crisis, minutes = report.world.crisis, report.minutes
    lines = [f"{report.found.mentions} mentions read in {report.seconds:.0f} seconds."]
    if crisis is not None:
        shape = {"step": "at once", "ramp": "over three hours", "viral": "doubling every half hour"}[crisis.shape]
        lines.append(
            f"At {moment(crisis.begins)} a crisis broke over {crisis.brand}: {crisis.size:g} times the usual, {shape}."
        )
        lines.append(
            "Nobody was paged about it." if minutes is None else f"The page was there after {minutes:.0f} minutes."
        )
        missing = [name for name, count in report.received.items() if not count]
        lines += [f"Nothing was received by: {', '.join(missing)}."] if missing else []
    for incident in report.false_pages:
        lines.append(f"A false page: {incident.brand} at {moment(incident.opened)}, {incident.reason}")
    if not report.false_pages:
        lines.append("No false page.")
    return Text(" ".join(lines), style="bold green" if report.good else "bold red")


def moment(at: float) -> str:
    """A time in the demo's world, as people write it."""
    return datetime.fromtimestamp(at, UTC).strftime("%a %d %b %H:%M")
