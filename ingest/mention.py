"""The wire records of the topic `mentions`.

JSON, a tagged union on the key `type`. Rolling forward is additive: readers ignore fields they do not know and skip
(and count) tags they do not know; a field that is added gets a default. Times are seconds since the epoch, UTC.
"""

import hashlib
from typing import TypeVar

import msgspec

VERSION = 1
"""Version of the wire records, written into each."""


class Mention(msgspec.Struct, frozen=True, tag="mention", tag_field="type", kw_only=True, omit_defaults=True):
    """One post that names one brand. A post that names two brands is two mentions."""

    id: str
    """hash(brand, post): the same post seen through three feeds is one mention."""
    brand: str
    post: str
    """Identity of the post: canonical permalink, or kind + guid, or hash of title, text and author."""
    source: str
    """Id of the source it was seen through; not part of the identity."""
    kind: str
    """Kind of that source, e.g. `feed`."""
    url: str | None = None
    title: str = ""
    text: str = ""
    author: str | None = None
    language: str | None = None
    """What the feed claims, a BCP 47 tag; evidence, not truth."""
    names: tuple[tuple[int, int], ...] = ()
    """Where the brand's name stands in `title + "\\n" + text`: [start, end) in characters."""
    stars: float | None = None
    """Rating from 1 to 5, where the kind has one."""
    published: float | None = None
    """When it was published; None where the source does not say or says what cannot be."""
    collected: float
    history: bool = False
    """First contact with a source, or an import: kept and scored, never counted."""
    revision: int = 0
    """0 for the first sight of a post, then one more for each edit."""
    version: int = VERSION

    @property
    def scored_text(self) -> str:
        """The text that is scored, and that `names` are places in."""
        return f"{self.title}\n{self.text}"

    @property
    def time(self) -> float:
        """Event time: of publication, or of collection where that is not known."""
        return self.collected if self.published is None else self.published


class Poll(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answered or failed request to a source. An answer settles what was published up to `at`."""

    source: str
    at: float
    answered: bool
    brands: tuple[str, ...] = ()
    """Brands this source is asked about; none named: all of them."""
    items: int = 0
    reason: str = ""
    """Why it failed, or what it was (`new`, `unchanged`): a word of a bounded set."""


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="type", kw_only=True, omit_defaults=True):
    """A collector's clock. Written to every partition, after the mentions of the polls that it tells about."""

    collector: str
    at: float
    polls: tuple[Poll, ...] = ()
    leaving: bool = False
    """The collector has stopped, or another one has taken over from it: do not wait for it."""
    path: int | None = None
    """Partition of `mentions` that this record came through; set by the classifier that forwards it."""
    paths: int | None = None
    """How many partitions `mentions` has."""
    version: int = VERSION


MentionRecord = Mention | Progress
"""Everything that the topic `mentions` holds."""

Record = TypeVar("Record")

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[MentionRecord] = msgspec.json.Decoder(MentionRecord)


def encode(record: msgspec.Struct) -> bytes:
    """One wire record as JSON, UTF-8."""
    return _encoder.encode(record)


class UnknownRecord(Exception):
    """A record of a kind this version does not know; it is skipped and counted."""


class UnreadableRecord(Exception):
    """Bytes that are no record; they go to the dead letters with this message as the cause."""


class _Tag(msgspec.Struct):
    type: str


def decode(value: bytes) -> MentionRecord:
    """Read a record of the topic `mentions`.

    Raises:
        UnknownRecord: a tag that a later version writes.
        UnreadableRecord: anything else that cannot be read, with the cause.
    """
    record: MentionRecord = decode_with(_decoder, value, ("mention", "progress"))
    return record


def decode_with(decoder: msgspec.json.Decoder[Record], value: bytes, known: tuple[str, ...]) -> Record:
    """Read one record; tell an unknown tag from unreadable bytes."""
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        try:
            tag = msgspec.json.decode(value, type=_Tag).type
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UnreadableRecord(str(fault)) from fault
        if tag not in known:
            raise UnknownRecord(tag) from fault
        raise UnreadableRecord(str(fault)) from fault


def mention_id(brand: str, post: str) -> str:
    """128 bits of SHA-256 over brand and post, as 32 hexadecimal digits."""
    return hashlib.sha256(f"{brand}\x00{post}".encode()).hexdigest()[:32]
