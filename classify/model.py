"""What the classifier needs of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from classify.sentiment import Complaint, Label, Sentiment


class ModelMissing(Exception):
    """The model cannot be used: not there, damaged, or of another kind; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text, and what the answer is to be about: marked places, a name beside the text, or (neither) the whole."""

    text: str
    spans: tuple[tuple[int, int], ...] = ()
    beside: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says, and the label it would stand for (`unsure` under its own threshold)."""

    sentiment: Sentiment
    label: Label
    complaint: Complaint | None = None
    """What a negative text complains of, where the model tells."""


class Model(Protocol):
    """Texts in, sentiments out. May take seconds; called in a thread; safe to call from several threads."""

    @property
    def name(self) -> str:
        """Name and version, as every answer carries it."""
        ...

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer for each question, in order. Never raises for what a text holds."""
        ...
