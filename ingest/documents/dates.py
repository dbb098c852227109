"""Dates as documents write them -> seconds since the epoch, UTC. Strict formats first, a guesser last."""

import re
from datetime import UTC, datetime, timedelta, timezone

from ingest.documents.months import month_number
from ingest.documents.zones import ZONES

EARLIEST = datetime(1995, 1, 1, tzinfo=UTC).timestamp()
"""Feeds did not exist before; such a date is a mistake."""
LONGEST = 100
"""Characters of a date."""

_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
_ZONE = r"\s*(?P<zone>(?:GMT|UTC|UT)?\s*[+-]\s*\d{1,2}:?\d{2}|[+-]\d{1,2}|[A-Za-z]{0,5})\.?(?:\s*\([^)]*\))?"
_WORD = re.compile(r"[^\W\d_]{3,}|[年년月월]")
_YEAR = re.compile(r"(?:19|20)\d\d")
_LANGUAGES = [
    "en",
    "pl",
    "ru",
    "tr",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "uk",
    "cs",
    "sk",
    "ro",
    "hu",
    "sr",
    "bg",
    "el",
    "sv",
    "nb",
    "da",
    "fi",
    "ar",
    "he",
    "fa",
    "hi",
    "id",
    "vi",
    "th",
    "ko",
    "ja",
    "zh",
]
_FORMATS = [
    re.compile(pattern)
    for pattern in (
        # RFC 3339, ISO 8601 and what databases print
        rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}})(?:(?:[Tt\s,]|\s+at\s+)\s*{_CLOCK}{_ZONE})?",
        rf"(?P<year>\d{{4}})[/.](?P<month>\d{{1,2}})[/.](?P<day>\d{{1,2}})(?:[T\s]\s*{_CLOCK}{_ZONE})?",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
        r"(?:[Tt]?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})(?P<zone>[Zz]|[+-]\d{2}:?\d{2})?)?",
        # RFC 822, with or without weekday, with two or four digits of the year, with or without seconds
        rf"(?:[^\W\d]{{2,13}}\.?,?\s+)?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s.-]+(?:de\s+)?(?P<name>[^\W\d]{{3,12}})\.?,?[\s-]+(?:de\s+)?"
        rf"(?P<year>\d{{4}}|\d{{2}})(?:\s+(?:\u0433|r|\u0440)\.)?,?(?:\s+(?:at\s+|um\s+|\u0432\s+|-\s+)?{_CLOCK}{_ZONE})?",
        # C's asctime and date(1), with the zone before or after the year
        r"(?:[A-Za-z]{3,10},?\s+)?(?P<name>[A-Za-z]{3,10})\.?\s+(?P<day>\d{1,2})\s+(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})"
        r"\s+(?:(?P<zone>[+-]\d{4}|[A-Z]{2,5})\s+)?(?P<year>\d{4})",
        # American: January 2, 2006, 3:04 PM
        rf"(?:[A-Za-z]{{3,10}}\.?,?\s+)?(?P<name>[A-Za-z]{{3,10}})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}}),?"
        rf"(?:\s+(?:at\s+|-\s+)?{_CLOCK}{_ZONE})?",
        # German, Russian, Turkish, Polish: 31.12.2024 18:00
        rf"(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}}),?(?:\s+(?:um\s+|\u0432\s+)?{_CLOCK}{_ZONE})?",
        # With slashes, where only one order is possible
        rf"(?P<day>1[3-9]|2\d|3[01])/(?P<month>\d{{1,2}})/(?P<year>\d{{4}}),?(?:\s+{_CLOCK}{_ZONE})?",
        rf"(?P<month>\d{{1,2}})/(?P<day>1[3-9]|2\d|3[01])/(?P<year>\d{{4}}),?(?:\s+{_CLOCK}{_ZONE})?",
        r"(?P<year>\d{4})-(?P<month>\d{2})",
    )
]


def parse_date(written: str | None) -> float | None:
    """Seconds since the epoch, or None for what is no date, or one before 1995. A date without a zone is UTC."""
    text = " ".join((written or "")[:LONGEST].split())
    if not text:
        return None
    moment = _strict(text)
    if moment is None and _YEAR.search(text) and _WORD.search(text):
        moment = _guess(text)
    return moment if moment is not None and moment >= EARLIEST else None


def to_iso(moment: float | None) -> str | None:
    """ISO 8601 in UTC with whole seconds, or with milliseconds where there are any."""
    if moment is None:
        return None
    spec = "seconds" if moment == int(moment) else "milliseconds"
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec=spec).replace("+00:00", "Z")


def _strict(text: str) -> float | None:
    if re.fullmatch(r"\d{9,10}(\.\d+)?", text):
        return float(text)
    if re.fullmatch(r"\d{12,13}", text):
        return int(text) / 1000
    for pattern in _FORMATS:
        if found := pattern.fullmatch(text):
            return _moment(found.groupdict())
    return None


def _moment(parts: dict[str, str | None]) -> float | None:
    month = month_number(parts.get("name") or "") or int(parts.get("month") or 0)
    offset = _offset(parts.get("zone") or "")
    if not month or offset is None:
        return None
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    hour = _on_24_hours(hour, parts.get("half"))
    try:
        day = datetime(_year(parts["year"] or ""), month, int(parts.get("day") or 1), tzinfo=timezone(offset))
        if hour > 24 or minute > 59 or second > 60:
            return None
        fraction = float(f"0.{(parts.get('fraction') or '0')[:6]}")
        return (day + timedelta(hours=hour, minutes=minute, seconds=second)).timestamp() + fraction
    except (ValueError, OverflowError):
        return None


def _year(written: str) -> int:
    year = int(written)
    return year if len(written) == 4 else year + (2000 if year < 69 else 1900)  # POSIX


def _on_24_hours(hour: int, half: str | None) -> int:
    if not half or not 1 <= hour <= 12:
        return hour
    return hour % 12 + (12 if half.lower().startswith("p") else 0)


def _offset(zone: str) -> timedelta | None:
    zone = zone.replace(" ", "")
    if found := re.fullmatch(r"(?:GMT|UTC|UT)?([+-])(\d{1,2}):?(\d{2})?", zone, re.I):
        sign, hours, minutes = found.groups()
        size = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return (size if sign == "+" else -size) if size < timedelta(hours=24) else None
    hours_east = ZONES.get(zone.lower())
    return None if hours_east is None else timedelta(hours=hours_east)


def _guess(text: str) -> float | None:
    """Month names of other languages and what else people write. Nothing that depends on today's date."""
    import dateparser  # noqa: PLC0415 - 0.4 s and 20 MB, for the few feeds that need it

    settings = {
        "TIMEZONE": "UTC",
        "RETURN_AS_TIMEZONE_AWARE": True,
        "PARSERS": ["absolute-time"],
        "STRICT_PARSING": True,
        "DATE_ORDER": "DMY",
    }
    try:
        found = dateparser.parse(text, languages=_LANGUAGES, settings=settings)
    except (ValueError, OverflowError, TypeError, RecursionError):
        return None
    return found.timestamp() if isinstance(found, datetime) else None
