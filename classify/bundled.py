"""The bundled model on onnxruntime (the only file that imports it): the default, no torch, nothing to download.

Each text is computed by itself, on one core, texts side by side in threads. A batch would gain nothing on a CPU, and
the int8 arithmetic scales its activations over all that is computed together: alone, a text gets the same answer
whatever stands beside it.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime

from classify.encode import BEGIN, END, Encoded, encode, load_tokenizer, usable
from classify.model import Answer, ModelMissing, Question
from classify.sentiment import LABELS, Label, Sentiment

FOLDER = Path(__file__).parent / "bundle"
REMEMBERED = 20_000
"""Answers kept, so that a copy of a text is not computed again."""


NOTHING = Encoded([BEGIN, END], [False, False])
"""A text that holds nothing to read."""


class Bundled:
    """The model that ships with the package.

    Args:
        folder: holds model.onnx, tokenizer.json.gz and card.json (name, temperatures, threshold).
        threads: texts computed side by side.

    Raises:
        ModelMissing: one of the files is not there, or damaged.
    """

    def __init__(self, folder: Path = FOLDER, threads: int = 2) -> None:
        try:
            card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
            self._name = str(card["name"])
            self._temperatures = {head: float(card["temperature"][head]) for head in ("text", "target")}
            self._threshold = float(card["threshold"])
            self._tokenizer = load_tokenizer(folder / "tokenizer.json.gz")
            self._session = _session(folder / "model.onnx")
        except Exception as fault:  # onnxruntime and tokenizers have a dozen kinds, with no ancestor of their own
            raise ModelMissing(
                f"The model in {folder} cannot be read ({_short(fault)}): install Tocsin again, or set `model.name`."
            ) from fault
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._known: OrderedDict[bytes, Answer] = OrderedDict()
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Name and version."""
        return self._name

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer for each question, in order; equal questions are computed once."""
        encoded = [
            encode(self._tokenizer, q.text, q.spans, q.beside) if usable(q.text).strip() else NOTHING for q in questions
        ]
        keys = [_key(e) for e in encoded]
        todo = {key: e for key, e in zip(keys, encoded, strict=True) if self._recall(key) is None}
        longest_first = sorted(todo, key=lambda key: -len(todo[key].ids))
        found = dict(
            zip(longest_first, self._threads.map(lambda key: self._one(todo[key]), longest_first), strict=True)
        )
        answers = [found.get(key) or self._recall(key) or self._one(e) for key, e in zip(keys, encoded, strict=True)]
        self._remember(found)
        return answers

    def _recall(self, key: bytes) -> Answer | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def _remember(self, found: Mapping[bytes, Answer]) -> None:
        with self._lock:
            self._known.update(found)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _one(self, encoded: Encoded) -> Answer:
        """Run the network on one text and read its answer."""
        if len(encoded.ids) <= len(NOTHING.ids):
            return Answer(Sentiment(0.0, 1.0, 0.0), "unsure")
        about = any(encoded.target)
        logits: Any = self._session.run(
            ["target" if about else "text"],
            {
                "ids": np.array([encoded.ids], dtype=np.int64),
                "mask": np.array([encoded.target], dtype=np.float32),
            },
        )[0]
        return interpret(logits[0], self._temperatures["target" if about else "text"], self._threshold)


def interpret(logits: "np.typing.NDArray[np.float32]", temperature: float, threshold: float) -> Answer:
    """Logits [3] -> calibrated probabilities, and the label, `unsure` under the threshold."""
    scaled = logits.astype(np.float64) / temperature
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    best = int(shares.argmax())
    label: Label = LABELS[best] if shares[best] >= threshold else "unsure"
    return Answer(Sentiment(*(float(s) for s in shares)), label)


def _short(fault: Exception) -> str:
    """Its first line, without the end of a long one."""
    said = str(fault).strip().split("\n")[0].rstrip(".")[:200]
    return f"{type(fault).__name__}: {said}"


def _key(encoded: Encoded) -> bytes:
    return hashlib.blake2b(repr((encoded.ids, encoded.target)).encode(), digest_size=16).digest()


def _session(path: Path) -> "onnxruntime.InferenceSession":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
