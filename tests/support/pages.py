"""Pages and incidents to send."""

from typing import Any

from alerting.channel import Message, Page, Quote
from alerting.incident import Evidence, Incident, Opened, open_incident

AT = 1_772_463_600.0
"""2026-03-02 15:00 UTC."""
SINCE = AT - 1_500


def quote(text: str, **other: Any) -> Quote:
    said = {"url": "https://forum.example/1", "author": "Jan", "language": "pl", "source": "feed:forum.example:0a1b2c"}
    return Quote(text=text, published=AT - 600, **{**said, **other})


QUOTES = (
    quote("Aplikacja nie działa od rana, przelewy znikają."),
    quote("Support antwortet nicht.", language="de", author=None, url="https://kritik.example/9"),
    quote("Yine çöktü!", language="tr", url=None),
)


def page(**changed: Any) -> Page:
    values: dict[str, Any] = {
        "incident": "a1b2c3d4",
        "kind": "page",
        "brand": "Kometa",
        "opened": AT,
        "since": SINCE,
        "expected": 6.1,
        "observed": 41,
        "ratio": 6.72,
        "rule": "surge",
        "reason": "A surge, evidence 9.1 against a threshold of 7.5.",
        "sources": [("feed:forum.example:0a1b2c", 0.7), ("app_store:apps.example:99", 0.3)],
        "languages": [("pl", 0.6), ("de", 0.25), ("tr", 0.15)],
        "quotes": QUOTES,
        "acknowledge": "tocsin ack a1b2c3d4",
    }
    return Page(**{**values, **changed})


def message(key: str = "a1b2c3d4-0-page", to: str = "", attempt: int = 1, **changed: Any) -> Message:
    return Message(key=key, to=to, page=page(**changed), attempt=attempt, at=AT)


def opening(brand: str = "Kometa", at: float = AT, wall: float = AT) -> tuple[Incident, Opened]:
    """An incident as the alerter opens it, and its first event."""
    event = Opened(
        at=at,
        since=at - 1_500,
        expected=6.1,
        observed=41,
        ratio=6.72,
        score=9.1,
        rule="surge",
        reason="A surge.",
        evidence=Evidence(sources=(("feed:forum.example:0a", 1.0),), languages=(("pl", 1.0),), quotes=QUOTES),
    )
    return open_incident(brand, event, wall), event
