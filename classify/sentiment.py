"""The wire records of the topic `mentions.scored`."""

from typing import Literal

import msgspec

from ingest.mention import VERSION, Mention, Progress, decode_with

Label = Literal["negative", "neutral", "positive", "unsure"]
LABELS: tuple[Label, Label, Label] = ("negative", "neutral", "positive")
Complaint = Literal["product", "service", "delivery", "price", "safety", "employer", "other"]
COMPLAINTS: tuple[Complaint, ...] = ("product", "service", "delivery", "price", "safety", "employer", "other")
"""Kinds of complaint."""


class Sentiment(msgspec.Struct, frozen=True):
    """How probable each judgement about the brand is; the three sum to 1."""

    negative: float
    neutral: float
    positive: float

    @property
    def likeliest(self) -> Label:
        """The label with the largest probability."""
        return max(LABELS, key=lambda label: getattr(self, label))


class ScoredMention(msgspec.Struct, frozen=True, tag="scored", tag_field="type", kw_only=True, omit_defaults=True):
    """A mention with its language, whether it is about the brand, and what it says about it."""

    mention: Mention
    language: str
    """ISO 639-1, or `und`."""
    sentiment: Sentiment
    label: Label
    """The likeliest, or `unsure` where the model abstains."""
    complaint: Complaint | None = None
    """What a negative one complains of, where the model tells."""
    relevance: float = 1.0
    """Probability that the text is about the brand at all."""
    model: str
    """Name and version of the model."""
    version: int = VERSION


ScoredRecord = ScoredMention | Progress
"""Everything that the topic `mentions.scored` holds."""

_decoder = msgspec.json.Decoder(ScoredRecord)


def decode(value: bytes) -> ScoredRecord:
    """Read a record of the topic `mentions.scored`; raises as `ingest.mention.decode` does."""
    record: ScoredRecord = decode_with(_decoder, value, ("scored", "progress"))
    return record
