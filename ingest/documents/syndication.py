"""RSS 0.9x, 1.0, 2.0 and Atom as feedparser reads them, driven so that nothing is guessed, cleaned or opened.

`feedparser.parse` sanitizes, resolves and dates by itself, slowly and partly wrongly; here its two parsers get text
that is decoded and mended already, and their raw strings are read by us.
"""

import io
import re
import xml.sax
from dataclasses import dataclass
from typing import Any

from feedparser import api

from ingest.documents.xml_repair import repair

Entry = dict[str, Any]
_PERSON = re.compile(r"\s*\S+@\S+\s*\((.+)\)\s*|\s*([^<]+?)\s*<[^<>]+@[^<>]+>\s*", re.DOTALL)
"""`address (Name)` of RSS 2.0, `Name <address>` of e-mail."""
_PREFIXED = re.compile(r"<([A-Za-z]\w{0,20}):(?:item|entry)[\s>]")


@dataclass(frozen=True, slots=True)
class Syndication:
    """A feed as it stands in the document: raw strings."""

    version: str
    """feedparser's name of the format, e.g. `rss20`; empty when it is no feed."""
    feed: Entry
    entries: list[Entry]
    whole: bool
    """Whether it is well-formed XML, mended or not."""


class _Overrides:
    """Where feedparser mixes up what we need apart."""

    guidislink: bool

    def _start_media_description(self, attributes: Any) -> None:
        self.push("media_description", 1)  # type: ignore[attr-defined]

    def _end_media_description(self) -> None:
        self.pop("media_description")  # type: ignore[attr-defined]

    def _start_itunes_summary(self, attributes: Any) -> None:
        self.push("itunes_summary", 1)  # type: ignore[attr-defined]

    def _end_itunes_summary(self) -> None:
        self.pop("itunes_summary")  # type: ignore[attr-defined]

    def _start_content_encoded(self, attributes: Any) -> None:
        super()._start_content_encoded(attributes)  # type: ignore[misc]
        self.contentparams["encoded"] = True  # type: ignore[attr-defined]

    def _sync_author_detail(self, key: str = "author") -> None:
        """A person without markup of their own, as RSS has it: the name beside the address."""
        context = self._get_context()  # type: ignore[attr-defined]
        people = context.get(f"{key}s")
        if people and not people[-1] and (written := context.get(key)):
            named = _PERSON.fullmatch(written)
            people[-1]["name"] = (named.group(1) or named.group(2)) if named else written

    def _end_guid(self) -> None:
        """A guid stays as it is written, and is a link only where it is a web address."""
        permalink, self.guidislink = bool(self.guidislink), False
        value = self.pop("id")  # type: ignore[attr-defined]
        if permalink and (value or "").startswith(("http://", "https://")):
            self._save("permalink", value)  # type: ignore[attr-defined]

    _end_id = _end_guid


class _Strict(_Overrides, api.StrictFeedParser):  # type: ignore[misc]
    pass


class _Loose(_Overrides, api.LooseFeedParser):  # type: ignore[misc]
    pass


def read_syndication(text: str) -> Syndication:
    """Read a feed strictly, or leniently where that fails. Addresses are resolved by `xml:base` alone."""
    mended = repair(text)
    found = _read(mended)
    if not found.entries and (prefixed := _PREFIXED.search(mended)):  # RSS in a namespace that is none
        found = _read(re.sub(rf"(</?){prefixed.group(1)}:", r"\1", mended))
    return found


def _read(text: str) -> Syndication:
    rss_version, data, entities = api.replace_doctype(text.encode())
    strict = _Strict("", None, "utf-8")
    whole = _feed_strictly(strict, data)
    parser = strict
    if not whole:
        loose = _Loose("", None, "utf-8", entities)
        _settle(loose)
        _feed_loosely(loose, data.decode())
        if len(loose.entries) > len(strict.entries) or strict.inentry:
            parser = loose
    version = rss_version or parser.version or strict.version
    return Syndication(version, dict(parser.feeddata), [dict(entry) for entry in parser.entries], whole)


def _feed_strictly(parser: Any, data: bytes) -> bool:
    _settle(parser)
    reader = xml.sax.make_parser()  # noqa: S317 - external entities are off; expat bounds the internal ones
    reader.setFeature(xml.sax.handler.feature_namespaces, True)
    reader.setFeature(xml.sax.handler.feature_external_ges, False)
    reader.setContentHandler(parser)
    reader.setErrorHandler(parser)
    source = xml.sax.xmlreader.InputSource()
    source.setByteStream(io.BytesIO(data))
    source.setEncoding("utf-8")
    try:
        reader.parse(source)
    except MemoryError:
        raise
    except Exception:  # besides SAXException, feedparser stumbles over what it did not expect
        return False
    return True


def _feed_loosely(parser: Any, text: str) -> None:
    """Give it all to the lenient parser; where that stumbles, what it has read so far stays."""
    try:
        parser.feed(text)
    except MemoryError:
        raise
    except Exception:
        return


def _settle(parser: Any) -> None:
    parser.resolve_relative_uris = False
    parser.sanitize_html = False
