"""Any sequence-classification checkpoint through torch + transformers (the only file that imports them).

On a GPU if there is one. The target is given as the second text of a pair, as such checkpoints know it.
"""

from collections.abc import Sequence
from typing import Any

from classify.model import Answer, Question
from classify.sentiment import LABELS, Sentiment

LIMIT = 256
TOGETHER = 32
THRESHOLD = 0.5
NAMES = {
    "negative": ("negative", "neg", "label_0", "very negative", "1 star", "2 stars"),
    "neutral": ("neutral", "neu", "label_1", "3 stars"),
    "positive": ("positive", "pos", "label_2", "very positive", "4 stars", "5 stars"),
}
"""How checkpoints call the labels; several names of one label are added up."""


class NotASentimentModel(Exception):
    """The checkpoint's labels are no sentiments; the message names them."""


class Transformer:
    """A checkpoint by name or folder."""

    def __init__(self, checkpoint: str) -> None:
        try:
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as fault:
            raise ImportError(
                f"The model {checkpoint!r} needs torch and transformers: pip install 'tocsin[transformer]'."
            ) from fault
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self._model = AutoModelForSequenceClassification.from_pretrained(checkpoint).to(self._device).eval()
        self._columns = columns(self._model.config.id2label)
        self._name = f"transformers:{checkpoint}"

    @property
    def name(self) -> str:
        """`transformers:` and the checkpoint."""
        return self._name

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer for each question, in order; longest texts first, so that a batch pads little."""
        order = sorted(range(len(questions)), key=lambda i: -len(questions[i].text))
        answers: list[Answer | None] = [None] * len(questions)
        for low in range(0, len(order), TOGETHER):
            part = order[low : low + TOGETHER]
            for i, answer in zip(part, self._batch([questions[i] for i in part]), strict=True):
                answers[i] = answer
        return [answer for answer in answers if answer is not None]

    def _batch(self, questions: Sequence[Question]) -> list[Answer]:
        targets = [target_of(q) for q in questions]
        pairs: Any = {"text_pair": [t or "" for t in targets]} if any(targets) else {}
        encoded = self._tokenizer(
            [q.text[:20_000] for q in questions],
            **pairs,
            truncation=True,
            max_length=min(LIMIT, self._tokenizer.model_max_length),
            padding=True,
            return_tensors="pt",
        ).to(self._device)
        with self._torch.inference_mode():
            shares = self._model(**encoded).logits.float().softmax(-1).cpu().tolist()
        return [_answer(row, self._columns) for row in shares]


def target_of(question: Question) -> str | None:
    """The target as a text of its own."""
    if question.spans:
        start, end = question.spans[0]
        return question.text[start:end]
    return question.beside


def columns(labels: dict[int, str]) -> dict[str, list[int]]:
    """Which columns of the output stand for which of our labels. Raises NotASentimentModel."""
    out: dict[str, list[int]] = {
        ours: [i for i, theirs in labels.items() if theirs.lower() in names] for ours, names in NAMES.items()
    }
    if not out["negative"] or not out["positive"]:
        raise NotASentimentModel(
            f"The labels of this checkpoint are {sorted(labels.values())}: "
            "it needs at least one for negative and one for positive."
        )
    return out


def _answer(shares: Sequence[float], where: dict[str, list[int]]) -> Answer:
    values = [sum(shares[i] for i in where[label]) for label in LABELS]
    whole = sum(values) or 1.0
    sentiment = Sentiment(*(v / whole for v in values))
    sure = max(values) / whole >= THRESHOLD
    return Answer(sentiment, sentiment.likeliest if sure else "unsure")
