"""How a page reads: subject, facts, plain text, HTML. Pure.

Brand names come from the configuration; all else about a mention was written by strangers and is cleaned here: no
control or invisible characters, no text that changes its direction, no line breaks, no link but to the web.
"""

import html
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote as percent_encode
from urllib.parse import urlsplit

from alerting.channel import Page, Quote

MOST_QUOTED = 280
MOST_LINK = 800
"""Characters; a longer link is left out, because a part of one leads nowhere."""
MOST_SHARES = 4
MOST_QUOTES = 3
JOINERS = "\u200c\u200d"


# --- what strangers wrote -------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """One line without control, direction and invisible characters.

    The two joiners stay between letters of scripts that spell with them, and in emoji.
    """
    kept: list[str] = []
    for i, character in enumerate(text):
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif category not in ("Cf", "Cs", "Co", "Cn") or (character in JOINERS and _joins(text, i)):
            kept.append(character)
    return " ".join("".join(kept).split())


def _joins(text: str, i: int) -> bool:
    around = (text[i - 1] if i else " ", text[i + 1] if i + 1 < len(text) else " ")
    return all(unicodedata.category(c) in ("Lo", "Mn", "Mc", "So", "Sk") for c in around)


def cut(text: str, most: int = MOST_QUOTED) -> str:
    """At most so many characters, cut at a word border where there is one, never inside a letter with its accents."""
    if len(text) <= most:
        return text
    end = most - 1
    border = text.rfind(" ", most * 2 // 3, end + 1)
    if border > 0:
        end = border
    while end > 0 and (text[end] in JOINERS or text[end - 1] in JOINERS or unicodedata.category(text[end])[0] == "M"):
        end -= 1
    return text[:end].rstrip() + "…"


def link(url: str | None) -> str | None:
    """The address as it is, or None if it is no web address or too long; what could end or hide it is encoded."""
    try:
        parts = urlsplit((url or "").strip())
    except ValueError:
        return None
    if url is None or parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        return None
    safe = "".join(c if _safe_in_link(c) else percent_encode(c, safe="", errors="replace") for c in url.strip())
    return safe if len(safe) <= MOST_LINK else None


def _safe_in_link(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" and character not in "<>\"'`|\\^{}"


# --- facts ----------------------------------------------------------------------------------------------------------


def subject(page: Page) -> str:
    """One line, at most 200 characters."""
    brand = cut(clean(page.brand), 80)
    match page.kind:
        case "test":
            return "[Tocsin] Test: this channel works"
        case "close":
            return f"[Tocsin] {brand}: it is over ({_counts(page)} since {_time(page.since)} UTC)"
        case "page":
            return f"[Tocsin] {brand}: {_counts(page)} (since {_time(page.since)} UTC)"


def headline(page: Page) -> str:
    """What it is about, in one sentence."""
    brand = cut(clean(page.brand), 80)
    match page.kind:
        case "test":
            return "This is a test. The channel works, and there is nothing to do."
        case "close":
            return f"The wave about {brand} is over."
        case "page":
            return f"{brand}: {_counts(page)}."


def facts(page: Page) -> list[tuple[str, str]]:
    """(name, value) in the order in which they are read."""
    if page.kind == "test":
        return []
    found = [("Since", f"{_moment(page.since)} ({_lasted(page.opened - page.since)} before the alarm)")]
    if page.kind == "page":
        found.append(("Expected", number(page.expected)))
        found.append(("Observed", f"{page.observed}, {number(page.ratio)} times as many"))
    found += [("Why", cut(clean(page.reason), 400))] if page.reason else []
    if page.kind == "page":
        found += [("Languages", shares(page.languages))] if page.languages else []
        found += [("Sources", shares([(_source(name), share) for name, share in page.sources]))] if page.sources else []
    found.append(("Incident", clean(page.incident)))
    return found


def advice(page: Page) -> str:
    """What to do; empty where there is nothing to do."""
    return f"Take it over, so that nobody else is woken up: {clean(page.acknowledge)}" if page.acknowledge else ""


def quotes(page: Page) -> list[tuple[str, str, str | None]]:
    """(what is said, who said it where and when, link) of those that are shown."""
    shown = page.quotes[:MOST_QUOTES] if page.kind == "page" else ()
    return [(cut(clean(q.text)), _origin(q), link(q.url)) for q in shown]


def number(value: float) -> str:
    """As a person would say it: two digits where it is small, whole where it is not."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0") if value >= 0.05 else f"{value:.2g}"


def shares(parts: Sequence[tuple[str, float]]) -> str:
    """`pl 62 %, de 24 %, others 14 %`; parts of one name are added up."""
    sums: dict[str, float] = {}
    for name, share in parts:
        sums[name] = sums.get(name, 0.0) + share
    ordered = sorted(sums.items(), key=lambda part: -part[1])
    shown, rest = ordered[:MOST_SHARES], ordered[MOST_SHARES:]
    if rest:
        shown.append(("others", sum(share for _, share in rest)))
    return ", ".join(f"{cut(clean(name), 60)} {share:.0%}".replace("%", " %") for name, share in shown)


def _counts(page: Page) -> str:
    noun = "negative mention" if page.observed == 1 else "negative mentions"
    usual = f"{page.expected:.0f}" if page.expected >= 1.5 else number(page.expected)
    return f"{page.observed} {noun} where {usual} {'is' if usual == '1' else 'are'} usual"


def _origin(q: Quote) -> str:
    said = [clean(q.author or ""), clean(q.language), _source(q.source), f"{_moment(q.published)}"]
    return ", ".join(cut(part, 60) for part in said if part)


def _source(name: str) -> str:
    """`feed:forum.example:1a2b3c4d5e` (`ingest.source.source_id`) as a person says it."""
    kind, _, rest = name.partition(":")
    host = rest.rpartition(":")[0]
    return f"{host} ({kind})" if host else name


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(min(max(at, 0.0), 253_402_300_799.0), UTC)


def _time(at: float) -> str:
    return _utc(at).strftime("%H:%M")


def _moment(at: float) -> str:
    return _utc(at).strftime("%Y-%m-%d %H:%M UTC")


def _lasted(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


# --- whole messages -------------------------------------------------------------------------------------------------


def plain(page: Page) -> str:
    """A message in plain text."""
    parts = [headline(page), "\n".join(f"{name}: {value}" for name, value in facts(page))]
    for i, (said, origin, url) in enumerate(quotes(page), 1):
        parts.append("\n".join(line for line in (f"{i}. “{said}”", f"   {origin}", f"   {url}" if url else "") if line))
    return "\n\n".join(part for part in [*parts, advice(page)] if part) + "\n"


def rich_mail(page: Page) -> str:
    """The same as HTML for a mail program: no script, no style sheet, nothing loaded from elsewhere."""
    e = html.escape
    rows = "".join(
        f'<tr><td style="padding:2px 12px 2px 0;color:#555;vertical-align:top">{e(name)}</td><td>{e(value)}</td></tr>'
        for name, value in facts(page)
    )
    said = "".join(
        f'<blockquote dir="auto" style="margin:12px 0;padding-left:12px;border-left:3px solid #b3261e">{e(text)}<br>'
        f'<span dir="ltr" style="color:#555;font-size:90%">{e(origin)}{_anchor(url)}</span></blockquote>'
        for text, origin, url in quotes(page)
    )
    what_to_do = f"<p><b>{e(advice(page))}</b></p>" if advice(page) else ""
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head><body style="font-family:sans-serif">'
        f"<h2>{e(headline(page))}</h2><table>{rows}</table>{said}{what_to_do}</body></html>\n"
    )


def _anchor(url: str | None) -> str:
    return f'<br><a rel="noreferrer" href="{html.escape(url)}">{html.escape(url)}</a>' if url else ""
