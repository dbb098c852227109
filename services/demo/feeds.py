"""What the demo world's sites look like as documents: one function a format. Pure."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import Any
from urllib.parse import urlencode

from services.demo.texts import Text
from services.demo.world import Post

Listed = Sequence[tuple[float, Post]]
"""(when it was listed, post), newest first."""
Write = Callable[[str, str, Listed], str]
"""(title of the site, address of the server, posts) -> a document."""

SHOWN = 12
"""Posts that a document holds."""
FRESH = 1_800
"""Seconds for which the server says that a document is fresh."""

PRODUCTS = {
    "Kometa": {"@type": "Store", "name": "Kometa"},
    "Lumivo": {"@type": "Product", "name": "Lumivo Aqua", "brand": {"@type": "Brand", "name": "Lumivo"}},
}


@dataclass(frozen=True, slots=True)
class Feed:
    """A document that Tocsin is told to poll."""

    name: str
    kind: str
    """As the configuration says it."""
    path: str
    content_type: str
    title: str
    write: Write


def rss(title: str, base: str, listed: Listed) -> str:
    """RSS 2.0, posts without titles, as forums and social networks have it."""
    items = "".join(
        f"<item><link>{base}{post.path}</link><guid>{base}{post.path}</guid><pubDate>{_rfc822(at)}</pubDate>"
        f"<dc:creator>{escape(post.author)}</dc:creator><dc:language>{post.text.language}</dc:language>"
        f"<description>{escape(_paragraph(post.text.text))}</description></item>\n"
        for at, post in listed
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>'
        f"<title>{escape(title)}</title><link>{base}/</link><description>{escape(title)}</description>\n"
        f"{items}</channel></rss>\n"
    )


def atom(title: str, base: str, listed: Listed) -> str:
    """Atom 1.0 with titles and full content, as a newspaper has it."""
    entries = "".join(
        f'<entry xml:lang="{post.text.language}"><id>tag:gazette.example,2026:{post.number}</id>'
        f'<link rel="alternate" href="{base}{post.path}"/><title>{escape(post.text.title)}</title>'
        f"<published>{_rfc3339(at)}</published><updated>{_rfc3339(at)}</updated>"
        f"<author><name>{escape(post.author)}</name></author>"
        f'<content type="html">{escape(_paragraph(post.text.text))}</content></entry>\n'
        for at, post in listed
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
        f'<id>tag:gazette.example,2026:feed</id><title>{escape(title)}</title><link href="{base}/gazette/feed.atom" rel="self"/>'
        f"<updated>{_rfc3339(listed[0][0] if listed else 0)}</updated>\n{entries}</feed>\n"
    )


def json_feed(title: str, base: str, listed: Listed) -> str:
    """JSON Feed 1.1, as a blog has it."""
    items = [
        {
            "id": f"{base}{post.path}",
            "url": f"{base}{post.path}",
            "title": post.text.title,
            "content_html": _paragraph(post.text.text),
            "date_published": _rfc3339(at),
            "language": post.text.language,
            "authors": [{"name": post.author}],
        }
        for at, post in listed
    ]
    return _json(
        {"version": "https://jsonfeed.org/version/1.1", "title": title, "home_page_url": f"{base}/", "items": items}
    )


def app_store(title: str, base: str, listed: Listed) -> str:
    """Customer reviews of an app, as Apple's RSS generator writes them in JSON."""
    entries = [
        {
            "author": {"uri": {"label": f"{base}/people"}, "name": {"label": post.author}, "label": ""},
            "updated": {"label": _rfc3339(at)},
            "im:rating": {"label": str(post.text.stars)},
            "im:version": {"label": "4.12.0"},
            "id": {"label": str(post.number)},
            "title": {"label": post.text.title},
            "content": {"label": post.text.text, "attributes": {"type": "text"}},
            "link": {"attributes": {"rel": "related", "href": f"{base}{post.path}"}},
            "im:voteSum": {"label": "0"},
            "im:voteCount": {"label": "0"},
            "im:contentType": {"attributes": {"term": "Application", "label": "Application"}},
        }
        for at, post in listed
    ]
    return _json({"feed": {"author": {"name": {"label": "iTunes Store"}}, "entry": entries, "title": {"label": title}}})


def google_alerts(title: str, base: str, listed: Listed) -> str:
    """Atom as Google Alerts writes it: addresses behind a redirect, the brand in bold type."""
    entries = "".join(
        f"<entry><id>tag:google.com,2013:googlealerts/feed:{post.number}</id>"
        f'<title type="html">{escape(_bold(post.text, post.text.title))}</title>'
        f'<link href="{escape(_redirect(base + post.path))}"/>'
        f"<published>{_rfc3339(at)}</published><updated>{_rfc3339(at)}</updated>"
        f'<content type="html">{escape(_bold(post.text, post.text.text))}</content>'
        "<author><name></name></author></entry>\n"
        for at, post in listed
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:idx="urn:atom-extension:indexing"><id>tag:google.com,2005:reader/user/0/state/com.google/alerts/1</id>'
        f"<title>{escape(title)}</title>"
        f"<updated>{_rfc3339(listed[0][0] if listed else 0)}</updated>\n{entries}</feed>\n"
    )


def review_page(title: str, base: str, listed: Listed) -> str:
    """A page of reviews with schema.org markup in JSON-LD."""
    reviews = [
        {
            "@context": "https://schema.org",
            "@type": "Review",
            "url": f"{base}{post.path}",
            "name": post.text.title,
            "reviewBody": post.text.text,
            "inLanguage": post.text.language,
            "datePublished": _rfc3339(at),
            "author": {"@type": "Person", "name": post.author},
            "reviewRating": {"@type": "Rating", "ratingValue": post.text.stars, "bestRating": 5, "worstRating": 1},
            "itemReviewed": PRODUCTS[next(brand for brand in post.text.labels if brand in PRODUCTS)],
        }
        for at, post in listed
    ]
    markup = _json(reviews).replace("<", "\\u003c")
    shown = "".join(
        f"<article><h2>{escape(p.text.title)}</h2><p>{escape(p.text.text)}</p></article>\n" for _, p in listed
    )
    head = f'<title>{escape(title)}</title><script type="application/ld+json">{markup}</script>'
    return f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{head}</head><body>\n{shown}</body></html>\n'


def article(post: Post) -> str:
    """The page of one post."""
    heading = f"<h1>{escape(post.text.title)}</h1>" if post.text.title else ""
    head = f'<meta charset="utf-8"><title>{escape(post.text.title or post.author)}</title>'
    return (
        f'<!doctype html>\n<html lang="{post.text.language}"><head>{head}</head><body>{heading}'
        f"<p>{escape(post.text.text)}</p><p>{escape(post.author)}, {_rfc3339(post.at)}</p></body></html>\n"
    )


_RSS, _XML = "application/rss+xml; charset=utf-8", "application/atom+xml; charset=utf-8"
_JSON, _HTML = "application/json", "text/html; charset=utf-8"
FEEDS = (
    Feed("murmur", "feed", "/murmur/feed.xml", _RSS, "Murmur: short posts", rss),
    Feed("agora", "feed", "/agora/feed.xml", _RSS, "Agora: consumers talk", rss),
    Feed("plaza", "feed", "/plaza/feed.xml", _RSS, "Plaza: the neighbours' forum", rss),
    Feed("gazette", "feed", "/gazette/feed.atom", _XML, "The Gazette", atom),
    Feed("notebook", "feed", "/notebook/feed.json", _JSON, "Notebook: a blog", json_feed),
    Feed("apps", "app_store", "/apps/zentaro/reviews.json", _JSON, "Zentaro: reviews of the app", app_store),
    Feed("alerts", "google_alerts", "/alerts/feed.atom", _XML, "Google Alert: Kometa, Lumivo, Zentaro", google_alerts),
    Feed("testberg", "reviews", "/testberg/reviews.html", _HTML, "Testberg: what buyers say", review_page),
)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text, quote=False)}</p>"


def _bold(text: Text, said: str) -> str:
    """HTML with the brands in bold type."""
    html = escape(said, quote=False)
    for brand in text.labels:
        html = html.replace(brand, f"<b>{brand}</b>")
    return html


def _redirect(address: str) -> str:
    return "https://www.google.com/url?" + urlencode(
        {"rct": "j", "sa": "t", "url": address, "ct": "ga", "cd": "CAI", "usg": "AOv"}
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _rfc822(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
