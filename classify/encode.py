"""Text and marked places -> token numbers for the bundled model (the only file that imports tokenizers).

The marks are token numbers that no text can produce: they are put between the tokens after the text was cut into
tokens, and the tokenizer holds no piece that stands for them. So a text cannot forge its target.
"""

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

BEGIN, PAD, END, UNKNOWN, OPEN, CLOSE = range(6)
"""The first six numbers of the vocabulary are control tokens; pieces of text begin after them."""
CONTROL_PIECES = tuple(f"\x00{name}" for name in ("begin", "pad", "end", "unknown", "open", "close"))
"""Their names in the vocabulary begin with NUL, which is taken out of every text before it is cut."""
LIMIT = 128
"""Tokens the model reads at once; of a longer text, windows around its marked places."""
LONGEST = 20_000
"""Characters that are looked at; nothing after them is read unless a marked place lies there."""

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
"""NUL, which our control pieces begin with, and halves of surrogate pairs, which are no characters."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token numbers of one text, and for each whether it belongs to the target (marks included)."""

    ids: list[int]
    target: list[bool]


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a gzipped tokenizer.json."""
    return Tokenizer.from_str(gzip.decompress(path.read_bytes()).decode())


def cut(text: str, spans: Sequence[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """Keep at most `LONGEST` characters around the first span, or from the start; spans move along."""
    spans = sorted((a, b) for a, b in spans if 0 <= a < b <= len(text))
    if len(text) <= LONGEST:
        return usable(text), spans
    start = max(0, spans[0][0] - LONGEST // 2) if spans else 0
    piece = usable(text[start : start + LONGEST])
    return piece, [(a - start, b - start) for a, b in spans if b - start <= len(piece)]


def usable(text: str) -> str:
    """The text with a blank for each character that cannot be cut into tokens; no place moves."""
    return _UNUSABLE.sub(" ", text)


def encode(
    tokenizer: Tokenizer,
    text: str,
    spans: Sequence[tuple[int, int]] = (),
    beside: str | None = None,
    limit: int = LIMIT,
) -> Encoded:
    """The text, or the first window of it: see `windows`."""
    return windows(tokenizer, text, spans, beside, limit, most=1)[0]


def windows(
    tokenizer: Tokenizer,
    text: str,
    spans: Sequence[tuple[int, int]] = (),
    beside: str | None = None,
    limit: int = LIMIT,
    *,
    most: int,
) -> list[Encoded]:
    """Cut a text into tokens and mark its target.

    Args:
        tokenizer: of the model.
        text: any string.
        spans: places of the target in the text, in characters; places outside of it are ignored.
        beside: the target, where it does not stand in the text: it follows the text, marked.
        limit: most tokens of a window.
        most: windows of a text that does not fit: each is cut around marked places that the ones before it do not show.
    """
    text, spans = cut(text, spans)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    ids, marked = _mark(encoding.ids, encoding.offsets, spans)
    tail: list[int] = [END]
    tail_marked = [False]
    if beside is not None and not any(marked):
        pieces = tokenizer.encode(usable(beside[:200]), add_special_tokens=False).ids[: limit // 4]
        tail = [END, OPEN, *pieces, CLOSE, END]
        tail_marked = [False] + [True] * (len(pieces) + 2) + [False]
    room = limit - 1 - len(tail)
    return [
        Encoded(
            [BEGIN, *ids[start : start + room], *tail],
            [False, *marked[start : start + room], *tail_marked],
        )
        for start in _starts(marked, room, most)
    ]


def _mark(
    ids: Sequence[int], offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> tuple[list[int], list[bool]]:
    """Put OPEN and CLOSE around the tokens that overlap a span (overlapping spans become one)."""
    out: list[int] = []
    marked: list[bool] = []
    inside = False
    at = 0
    for token, (a, b) in zip(ids, offsets, strict=True):
        while at < len(spans) and spans[at][1] <= a:
            at += 1
        hit = at < len(spans) and max(a, spans[at][0]) < min(b, spans[at][1])
        if hit != inside:
            out.append(OPEN if hit else CLOSE)
            marked.append(True)
            inside = hit
        out.append(token)
        marked.append(hit)
    if inside:
        out.append(CLOSE)
        marked.append(True)
    return out, marked


def _starts(marked: Sequence[bool], room: int, most: int) -> list[int]:
    """Where windows begin: so that the first marked place that no window shows yet stands a third of the room in it."""
    last = max(0, len(marked) - room)
    if not last:
        return [0]
    starts: list[int] = []
    shown = 0
    while len(starts) < most:
        place = next((i for i in range(shown, len(marked)) if marked[i]), None)
        if place is None:
            break
        starts.append(max(0, min(place - room // 3, last)))
        shown = starts[-1] + room
    return starts or [0]
