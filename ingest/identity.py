"""What makes two sightings the same post, and a post an edited one (pure)."""

import hashlib
import re
from functools import lru_cache
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from w3lib.url import canonicalize_url

from ingest.source import Item

LONGEST_POST = 500
"""Characters of an identity; a longer one is replaced by its hash."""

_TRACKING = re.compile(
    r"(utm|pk|mtm|hsa|vero|oly|guce)_\w+|at_(medium|campaign|custom\d+)|mc_[ce]id|_hs(enc|mi)|(fb|gc|dc|y|msc|ttc|tw)l?c?lid"
    r"|[gw]braid|gclsrc|igsh(id)?|_openstat|_ga|_gl|ref_(src|url)|cmpid|xtor|mkt_tok|guccounter|__twitter_impression|wprov",
    re.IGNORECASE,
)
"""Query parameters that say how a reader came, not what is read."""
_DEFAULT_PORTS = {":80", ":443"}


def unwrap_redirect(url: str) -> str:
    """The real address inside a Google redirect (`https://www.google.com/url?...&url=ADDRESS`); others unchanged."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url
    host = parts.hostname or ""
    if parts.path == "/url" and re.fullmatch(r"(www\.)?google(\.[a-z]{2,3}){1,2}", host):
        query = parse_qs(parts.query)
        for key in ("url", "q"):
            if (inside := query.get(key, [""])[0]).startswith(("http://", "https://")):
                return inside
    return url


@lru_cache(maxsize=4096)
def canonical_url(url: str) -> str | None:
    """One spelling for all addresses of a page, or None where it is no web address.

    Scheme and default port, case of the host, order of the query, percent signs, tracking parameters and the wrapping
    by Google do not tell addresses apart; a fragment does, unless it only tracks (`#xtor=RSS-1`).
    """
    try:
        parts = urlsplit(canonicalize_url(unwrap_redirect(url), keep_fragments=True))
        host = parts.netloc.rpartition("@")[2].lower().rstrip(".")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return None
    except (ValueError, UnicodeError):
        return None
    for port in _DEFAULT_PORTS:
        host = host.removesuffix(port)
    kept = [
        (key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.fullmatch(key)
    ]
    fragment = "" if "=" in parts.fragment or parts.fragment.startswith(":~:") else parts.fragment
    return urlunsplit(("https", host, parts.path or "/", urlencode(kept), fragment))


def is_permalink(url: str) -> bool:
    """Whether an address can name one post: a home page cannot."""
    parts = urlsplit(url)
    return bool(parts.path.strip("/") or parts.query or parts.fragment)


def post_identity(kind: str, item: Item, stable_ids: bool, permalink: bool = True) -> str:
    """Canonical permalink, or kind + guid, or hash of title, text and author.

    `stable_ids`: whether the source gives a post the same id at every fetch. `permalink`: whether the kind's addresses
    name one post each (reviews of one product often share the product's).
    """
    if permalink and item.url and (url := canonical_url(item.url)) and is_permalink(url):
        return _bounded(url)
    if stable_ids and item.id:
        return _bounded(f"{kind}:{item.id}")
    written = "\x00".join((item.title, item.text, item.author or ""))
    return f"text:{hashlib.sha256(written.encode(errors='replace')).hexdigest()[:32]}"


def content_hash(item: Item) -> bytes:
    """128 bits over title and text: another value is an edit."""
    return hashlib.blake2b(f"{item.title}\x00{item.text}".encode(errors="replace"), digest_size=16).digest()


def _bounded(post: str) -> str:
    if len(post) <= LONGEST_POST:
        return post
    return f"sha256:{hashlib.sha256(post.encode(errors='replace')).hexdigest()}"
