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
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from classify.encode import BEGIN, END, Encoded, encode, load_tokenizer, usable, windows
from classify.model import Answer, ModelMissing, Question
from classify.sentiment import COMPLAINTS, LABELS, Label, Sentiment

FOLDER = Path(__file__).parent / "bundle"
REMEMBERED = 20_000
"""Windows whose answers are kept, so that a copy of a text is not computed again."""
WINDOWS = 4
"""Windows of a long text that are read at most."""


NOTHING = Encoded([BEGIN, END], [False, False])
"""A text that holds nothing to read."""


@dataclass(frozen=True, slots=True)
class Logits:
    """What the network says of one window."""

    mood: NDArray[np.float64]
    """[3], of the text or (where one is marked) about the target."""
    kind: NDArray[np.float64] | None
    """[7], of the complaint; None: this artefact has no such head."""
    read: bool = True
    """Whether there was anything to read."""


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
            self._outputs = {output.name for output in self._session.get_outputs()}
        except Exception as fault:  # onnxruntime and tokenizers have a dozen kinds, with no ancestor of their own
            raise ModelMissing(
                f"The model in {folder} cannot be read ({_short(fault)}): install Tocsin again, or set `model.name`."
            ) from fault
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._known: OrderedDict[bytes, Logits] = OrderedDict()
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Name and version."""
        return self._name

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer for each question, in order; equal questions are computed once.

        Of a text that is too long, windows around the places of its target are read, and their judgements averaged.
        """
        cut = [self._windows(q) for q in questions]
        found = self._compute({_key(e): e for each in cut for e in each})
        return [self._answer([found[_key(e)] for e in each], about=any(each[0].target)) for each in cut]

    def like(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, width]: what each text is like, as directions of length 1; alike texts point alike."""
        return np.stack(list(self._threads.map(self._like, texts))) if texts else np.zeros((0, 0), np.float32)

    def _windows(self, question: Question) -> list[Encoded]:
        if not usable(question.text).strip():
            return [NOTHING]
        return windows(self._tokenizer, question.text, question.spans, question.beside, most=WINDOWS)

    def _compute(self, wanted: Mapping[bytes, Encoded]) -> dict[bytes, Logits]:
        """Longest first, so that no thread is left alone with a long one at the end."""
        found = {key: logits for key in wanted if (logits := self._recall(key)) is not None}
        todo = sorted(wanted.keys() - found.keys(), key=lambda key: (-len(wanted[key].ids), key))
        fresh = dict(zip(todo, self._threads.map(lambda key: self._one(wanted[key]), todo), strict=True))
        self._remember(fresh)
        return found | fresh

    def _answer(self, read: Sequence[Logits], *, about: bool) -> Answer:
        temperature = self._temperatures["target" if about else "text"]
        shares = np.mean([probabilities(w.mood / temperature) for w in read], axis=0)
        if not read[0].read:
            return Answer(Sentiment(0.0, 1.0, 0.0), "unsure")
        answer = interpret(shares, self._threshold)
        if answer.label != "negative" or read[0].kind is None:
            return answer
        kinds = np.mean([probabilities(w.kind) for w in read if w.kind is not None], axis=0)
        return replace(answer, complaint=COMPLAINTS[int(kinds.argmax())])

    def _recall(self, key: bytes) -> Logits | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def _remember(self, found: Mapping[bytes, Logits]) -> None:
        with self._lock:
            self._known.update(found)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _one(self, encoded: Encoded) -> Logits:
        """Run the network on one window."""
        if len(encoded.ids) <= len(NOTHING.ids):
            return Logits(np.zeros(len(LABELS)), None, read=False)
        head = "target" if any(encoded.target) else "text"
        mood, *kind = self._run([head, *(["kind"] if "kind" in self._outputs else [])], encoded)
        return Logits(mood, kind[0] if kind else None)

    def _like(self, text: str) -> NDArray[np.float32]:
        (found,) = self._run(["like"], encode(self._tokenizer, text))
        return np.asarray(found / max(1e-9, float(np.linalg.norm(found))), np.float32)

    def _run(self, outputs: Sequence[str], encoded: Encoded) -> list[NDArray[np.float64]]:
        inputs = {"ids": np.array([encoded.ids], np.int64), "mask": np.array([encoded.target], np.float32)}
        return [np.asarray(found[0], np.float64) for found in self._session.run(outputs, inputs)]


def probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of a vector."""
    raised = np.exp(logits - logits.max())
    shares: NDArray[np.float64] = raised / raised.sum()
    return shares


def interpret(shares: NDArray[np.float64], threshold: float) -> Answer:
    """Probabilities [3] -> the label, `unsure` under the threshold."""
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
