"""Any sequence-classification checkpoint through torch + transformers (the only file that imports them).

On a GPU if there is one. The target is given as the second text of a pair, as such checkpoints know it.
"""

from collections.abc import Sequence
from typing import Any

from classify.encode import usable
from classify.model import Answer, ModelMissing, Question
from classify.sentiment import LABELS, Sentiment

LIMIT = 256
"""Tokens read of a text, the target with it."""
BEFORE, LONGEST = 400, 20_000
"""Characters that are kept before the first marked place, and in all."""
TOGETHER = 32
THRESHOLD = 0.5
NAMES = {
    "negative": ("negative", "neg", "label_0", "very negative", "1 star", "2 stars"),
    "neutral": ("neutral", "neu", "label_1", "3 stars"),
    "positive": ("positive", "pos", "label_2", "very positive", "4 stars", "5 stars"),
}
"""How checkpoints call the labels; several names of one label are added up."""


class NotASentimentModel(ModelMissing):
    """The checkpoint's labels are no sentiments; the message names them."""


class Transformer:
    """A checkpoint by name or folder.

    Raises:
        ModelMissing: torch or transformers is not installed, or the checkpoint cannot be read.
        NotASentimentModel: its labels are no sentiments.
    """

    def __init__(self, checkpoint: str) -> None:
        try:
            import torch  # noqa: PLC0415 - an extra: not everybody has it
            from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415
        except ImportError as fault:
            raise ModelMissing(
                f"The model {checkpoint!r} needs torch and transformers: pip install 'tocsin[transformer]'."
            ) from fault
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(checkpoint)
            model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
        except Exception as fault:  # every part of a checkpoint fails in its own way
            raise ModelMissing(
                f"The checkpoint {checkpoint!r} cannot be read ({str(fault).strip().splitlines()[0][:200]}). "
                "Write the name of a model on the Hugging Face hub, or a folder that holds one."
            ) from fault
        self._model = model.to(self._device).eval()
        self._limit = limit(self._tokenizer.model_max_length, self._model.config)
        self._columns = columns(self._model.config.id2label)
        self._name = f"transformers:{checkpoint}"

    @property
    def name(self) -> str:
        """`transformers:` and the checkpoint."""
        return self._name

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer for each question, in order; longest texts first, so that a batch pads little."""
        answers: dict[int, Answer] = {}
        for has_target in (True, False):
            places = [i for i, q in enumerate(questions) if (target_of(q) is not None) is has_target]
            places.sort(key=lambda i: -len(questions[i].text))
            for low in range(0, len(places), TOGETHER):
                part = places[low : low + TOGETHER]
                answers.update(zip(part, self._batch([questions[i] for i in part]), strict=True))
        return [answers[i] for i in range(len(questions))]

    def _batch(self, questions: Sequence[Question]) -> list[Answer]:
        """All with a target, or none: a text alone and a text beside nothing are two things to a checkpoint."""
        targets = [usable(target) for q in questions if (target := target_of(q)) is not None]
        encoded = self._tokenizer(
            [window(q) for q in questions],
            **({"text_pair": targets} if targets else {}),
            truncation=True,
            max_length=self._limit,
            padding=True,
            return_tensors="pt",
        ).to(self._device)
        with self._torch.inference_mode():
            shares = self._model(**encoded).logits.float().softmax(-1).cpu().tolist()
        return [_answer(row, self._columns) for row in shares]


def limit(tokenizer_limit: int, config: Any) -> int:
    """Tokens that go in at once; two places less than the network has, as RoBERTa counts from 2."""
    return min(LIMIT, tokenizer_limit, getattr(config, "max_position_embeddings", LIMIT + 2) - 2)


def window(question: Question) -> str:
    """The part of the text that is read: from a little before the first marked place on."""
    first = min((start for start, _ in question.spans), default=0)
    start = max(0, first - BEFORE)
    return usable(question.text[start : start + LONGEST])


def target_of(question: Question) -> str | None:
    """The target as a text of its own."""
    if question.spans:
        start, end = min(question.spans)
        return question.text[start:end][:200]
    return question.beside[:200] if question.beside is not None else None


def columns(labels: dict[int, str]) -> dict[str, list[int]]:
    """Which columns of the output stand for which of our labels. Raises NotASentimentModel."""
    out: dict[str, list[int]] = {
        ours: [i for i, theirs in labels.items() if theirs.lower() in names] for ours, names in NAMES.items()
    }
    if sorted(label.lower() for label in labels.values()) == ["label_0", "label_1"]:
        return {"negative": [0], "neutral": [], "positive": [1]}  # the usual order of two labels without names
    if not out["negative"] or not out["positive"]:
        raise NotASentimentModel(
            f"The labels of this checkpoint are {sorted(labels.values())}: "
            "it needs at least one for negative and one for positive."
        )
    return out


def _answer(shares: Sequence[float], where: dict[str, list[int]]) -> Answer:
    values = [sum(shares[i] for i in where[label]) for label in LABELS]
    whole = sum(values)
    if not whole > 0:  # all goes to labels that are none of ours
        return Answer(Sentiment(0.0, 1.0, 0.0), "unsure")
    sentiment = Sentiment(*(v / whole for v in values))
    sure = max(values) / whole >= THRESHOLD
    return Answer(sentiment, sentiment.likeliest if sure else "unsure")
