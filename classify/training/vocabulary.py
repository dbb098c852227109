"""Cut the vocabulary of a multilingual checkpoint down to the promised languages, before anything is trained."""

import gzip
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from classify.encode import CONTROL_PIECES

SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "CJK", "HIRAGANA", "KATAKANA",
           "HANGUL")  # fmt: skip
"""First words of the Unicode names of letters that the promised languages are written in."""


def promised(piece: str) -> bool:
    """Whether every letter of a piece is of a script of a promised language."""
    return all(unicodedata.name(c, "").split(" ")[0] in SCRIPTS for c in piece if c.isalpha())


def spaceless(piece: str) -> bool:
    """Whether a piece has letters of a script that writes without spaces."""
    names = (unicodedata.name(c, "").split(" ")[0] for c in piece if c.isalpha())
    return any(name in ("THAI", "CJK", "HIRAGANA", "KATAKANA") for name in names)


def rank(tokenizer: Tokenizer, vocabulary: list[tuple[str, float]], texts: Iterable[str], words: Counter[str],
         size: int) -> list[int]:  # fmt: skip
    """Numbers of the pieces to keep, in their old order.

    First every single character of the promised scripts and what real texts use twice, then by the frequency in word
    lists; a third of what is left goes by the base model's own scores to scripts without spaces, for which word lists
    are no guide.
    """
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update(tokenizer.encode(text, add_special_tokens=False).ids)
    by_word: Counter[int] = Counter()
    for word, weight in words.items():
        for piece in tokenizer.encode(word, add_special_tokens=False).ids:
            by_word[piece] += weight
    usable = [i for i, (piece, _) in enumerate(vocabulary) if i > 3 and promised(piece)]
    kept = {i for i in usable if len(vocabulary[i][0].lstrip("▁")) <= 1 or counts[i] >= 2}
    plain = sorted((i for i in usable if spaceless(vocabulary[i][0])), key=lambda i: -vocabulary[i][1])
    room = size - len(kept)
    kept.update([i for i in plain if i not in kept][: room // 4])
    for i, _ in by_word.most_common():
        if len(kept) >= size:
            break
        if promised(vocabulary[i][0]) and i > 3:
            kept.add(i)
    for i in sorted(usable, key=lambda i: -vocabulary[i][1]):
        if len(kept) >= size:
            break
        kept.add(i)
    return sorted(kept)


def trim(tokenizer_json: Path, texts: Iterable[str], words: Counter[str], size: int, out: Path) -> list[int]:
    """Write a gzipped tokenizer.json with `size` pieces and our control tokens in front.

    Returns for each new number the old number whose embedding it takes.
    """
    raw: dict[str, Any] = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    vocabulary: list[tuple[str, float]] = [(p, s) for p, s in raw["model"]["vocab"]]
    keep = rank(Tokenizer.from_file(str(tokenizer_json)), vocabulary, texts, words, size - len(CONTROL_PIECES))
    brackets = [next(i for i, (p, _) in enumerate(vocabulary) if p == mark) for mark in ("▁[", "]")]
    raw["added_tokens"] = []
    raw["post_processor"] = None
    raw["model"]["vocab"] = [[name, -99.0] for name in CONTROL_PIECES] + [list(vocabulary[i]) for i in keep]
    raw["model"]["unk_id"] = 3
    out.write_bytes(gzip.compress(json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0))
    return [0, 1, 2, 3, *brackets, *keep]
