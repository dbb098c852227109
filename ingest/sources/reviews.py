"""Reviews on a web page, marked up with schema.org in JSON-LD or microdata."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from ingest.documents.charset import decode
from ingest.documents.dates import parse_date
from ingest.documents.json_feed import is_web
from ingest.documents.plain_text import from_either, line
from ingest.documents.structured_data import MAX_DEPTH, Node, Page
from ingest.source import Item, Parsed, SourceConfig, Unparsable

NAME = "reviews"
TERMS = "Read the site's terms first: many sites forbid copying reviews. robots.txt is obeyed."
OBEYS_ROBOTS = True
PERMALINKS = False

_REVIEW_PROPERTIES = ("review", "reviews")


class Config(SourceConfig):
    """A page with reviews."""

    kind: Literal["reviews"] = "reviews"


def parse(body: bytes, content_type: str | None, url: str) -> Parsed:
    """Reviews in document order, those of JSON-LD first; one that stands there in both notations is taken once."""
    page = Page(decode(body, content_type), url)
    blocks, microdata = page.json_ld(), page.microdata()
    written = [_item(node, about, page) for node, about in _reviews(blocks)]
    known = {(item.title, item.text, item.author) for item in written}
    marked = [_item(node, about, page) for node, about in _reviews(microdata)]
    items = [*written, *(item for item in marked if (item.title, item.text, item.author) not in known)]
    if not items and not _rated(blocks) and not _rated(microdata):
        hint = f" It names a feed, which you can add: {page.feeds[0]}" if page.feeds else ""
        raise Unparsable(
            f"This is a web page, no feed, and it holds no schema.org reviews in JSON-LD or microdata.{hint}"
        )
    return Parsed(items)


def _reviews(value: Any) -> Iterator[tuple[Node, Node]]:
    """Each review with the thing that it stands in, at any depth."""
    nodes = list(_nodes(value))
    by_id = {node["@id"]: node for node, _, _ in nodes if isinstance(node.get("@id"), str) and len(node) > 1}
    for node, parent, name in nodes:
        if _is_review(node, name):
            subject = _first(node.get("itemReviewed"))
            about = subject if isinstance(subject, dict) else parent
            yield _resolved(node, by_id), by_id.get(str(about.get("@id")), about)


def _nodes(value: Any) -> Iterator[tuple[Node, Node, str]]:
    """All objects with the object around them and the property they stand in, in document order."""
    waiting: list[tuple[Any, Node, str, int]] = [(value, {}, "", 0)]
    while waiting:
        current, parent, name, depth = waiting.pop()
        if depth > MAX_DEPTH:
            continue
        if isinstance(current, list):
            waiting.extend((inner, parent, name, depth + 1) for inner in reversed(current))
        elif isinstance(current, dict):
            yield current, parent, name
            waiting.extend(
                (inner, {} if key == "@graph" else current, key, depth + 1) for key, inner in reversed(current.items())
            )


def _types(node: Node) -> set[str]:
    kinds = node.get("@type")
    return {
        kind.rpartition("/")[2].rpartition(":")[2]
        for kind in (kinds if isinstance(kinds, list) else [kinds])
        if isinstance(kind, str)
    }


def _is_review(node: Node, name: str) -> bool:
    kinds = _types(node)
    if any(kind.endswith("Review") for kind in kinds):
        return "ClaimReview" not in kinds and len(node.keys() - {"@type", "@id"}) > 0
    return (
        not kinds and name in _REVIEW_PROPERTIES and bool(node.keys() & {"reviewBody", "reviewRating", "description"})
    )


def _resolved(node: Node, by_id: dict[str, Node]) -> Node:
    """The same with what it only names by `@id` put in."""
    found = dict(node)
    for key in ("author", "creator", "reviewRating", "publisher"):
        inner = _first(node.get(key))
        if isinstance(inner, dict) and inner.keys() <= {"@id", "@type"}:
            found[key] = by_id.get(str(inner.get("@id")), inner)
    return found


def _rated(value: Any) -> bool:
    return any("AggregateRating" in _types(node) or "aggregateRating" in node for node, _, _ in _nodes(value))


def _item(node: Node, about: Node, page: Page) -> Item:
    identity = node.get("@id") or node.get("identifier")
    url = next((a for a in (_text(node.get("url")), node.get("@id")) if is_web(a)), None)
    return Item(
        id=_text(identity) or None,
        url=url or (page.url if is_web(page.url) else None),
        title=line(_text(node.get("name")) or _text(node.get("headline"))),
        text=next(
            (text for key in ("reviewBody", "description", "text", "articleBody") if (text := _text(node.get(key)))), ""
        ),
        author=line(_names(node.get("author")) or _names(node.get("creator"))) or None,
        published=next(
            (
                at
                for key in ("datePublished", "dateCreated", "dateModified")
                if (at := parse_date(_text(node.get(key))))
            ),
            None,
        ),
        language=_text(node.get("inLanguage")) or page.language,
        stars=_stars(node.get("reviewRating"), node.get("ratingValue")),
        extra=_extra(about),
    )


def _extra(about: Node) -> dict[str, Any]:
    found: dict[str, Any] = {"item": line(_text(about.get("name")))}
    rating = _first(about.get("aggregateRating"))
    if isinstance(rating, dict):
        counts = {key: _number(rating.get(key)) for key in ("ratingValue", "bestRating", "ratingCount", "reviewCount")}
        found["aggregate_rating"] = {key: value for key, value in counts.items() if value is not None}
    return {key: value for key, value in found.items() if value}


def _stars(rating: Any, direct: Any) -> float | None:
    """The rating on the scale from 1 to 5, by its own `bestRating` and `worstRating` (schema.org: 5 and 1 unless given)."""
    rating = _first(rating)
    parts = rating if isinstance(rating, dict) else {"ratingValue": rating if rating is not None else direct}
    value = _number(parts.get("ratingValue"))
    if value is None or value < 0:
        return None
    guessed = next((scale for scale in (5.0, 10.0, 100.0) if value <= scale), value)
    best = _number(parts.get("bestRating")) or _scale(parts.get("ratingValue")) or guessed
    worst = _number(parts.get("worstRating"))
    worst = min(value, 1.0) if worst is None else worst
    if best <= worst or not worst <= value <= best:
        return value if 1 <= value <= 5 else None
    return round(1 + 4 * (value - worst) / (best - worst), 2)


def _scale(written: Any) -> float | None:
    """The 5 of `4/5`."""
    found = re.fullmatch(r"\s*[\d.,]+\s*(?:/|of|out of)\s*(\d+)\s*", written) if isinstance(written, str) else None
    return float(found.group(1)) if found else None


def _number(value: Any) -> float | None:
    value = _first(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    found = re.match(r"\s*(\d{1,9}(?:[.,]\d{1,6})?)", str(value))
    return float(found.group(1).replace(",", ".")) if found else None


def _first(value: Any) -> Any:
    while isinstance(value, list):
        value = next((inner for inner in value if inner not in (None, "", [])), None)
    return value


def _text(value: Any) -> str:
    value = _first(value)
    if isinstance(value, dict):
        value = _first(value.get("@value") or value.get("name") or value.get("value"))
    return from_either(str(value)) if isinstance(value, str | int | float) else ""


def _names(value: Any) -> str:
    people = value if isinstance(value, list) else [value]
    return ", ".join(dict.fromkeys(name for person in people if (name := _text(person))))
