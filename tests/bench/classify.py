"""The model: how often it is right, per set and language, and how fast it is beside what others use.

    TOCSIN_SENTIMENT=/folder/with/train/and/eval python -m tests.bench.classify

The other is `transformers.pipeline` with a checkpoint of the size of XLM-RoBERTa base and random weights: they are as
fast as trained ones. It takes part where torch and transformers are installed. Each runs in a process of its own.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TEXTS = 2_000
TRIED = 64
"""Texts on which the other's best batch size is found."""
BATCHES = (1, 8, 32)


def texts(folder: Path, shortest: int, longest: int) -> list[str]:
    """Texts of so many tokens, the same in every run."""
    from classify.bundled import FOLDER
    from classify.encode import load_tokenizer
    from classify.training.measure import read_folder

    tokenizer = load_tokenizer(FOLDER / "tokenizer.json.gz")
    found = list(dict.fromkeys(row.text for rows in read_folder(folder / "eval", 1_000).values() for row in rows))
    random.Random(1).shuffle(found)
    out = []
    for text in found:
        if shortest <= len(tokenizer.encode(text, add_special_tokens=False).ids) <= longest:
            out.append(text)
        if len(out) == TEXTS:
            break
    return out


def ours(wanted: Sequence[str]) -> dict[str, float]:
    """The bundled model, as `tocsin classify` calls it."""
    from classify.bundled import Bundled
    from classify.model import Question

    began = time.perf_counter()
    model = Bundled()
    loaded = time.perf_counter() - began
    model.answer([Question("warm up")])
    seconds = timed(
        lambda: [model.answer([Question(t) for t in wanted[i : i + 64]]) for i in range(0, len(wanted), 64)]
    )
    tokens = sum(len(model._tokenizer.encode(t, add_special_tokens=False).ids) for t in wanted)
    return {"texts": len(wanted) / seconds, "tokens": tokens / seconds, "load": loaded, "peak": peak()}


def others(wanted: Sequence[str]) -> dict[str, float]:
    """transformers.pipeline with a checkpoint of the size of XLM-RoBERTa base, at its best batch size."""
    import torch
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForSequenceClassification, pipeline

    from classify.bundled import FOLDER
    from classify.encode import load_tokenizer

    torch.manual_seed(1)
    config = XLMRobertaConfig(
        vocab_size=250_002, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3_072,
        max_position_embeddings=514, type_vocab_size=1, num_labels=3, pad_token_id=1,
    )  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=load_tokenizer(FOLDER / "tokenizer.json.gz"))
    tokenizer.pad_token, tokenizer.model_max_length = tokenizer.convert_ids_to_tokens(1), 512
    pipe: Any = pipeline(
        "text-classification", model=XLMRobertaForSequenceClassification(config).eval(), tokenizer=tokenizer
    )
    speeds = {
        size: TRIED / timed(lambda size=size: pipe(list(wanted[:TRIED]), batch_size=size, truncation=True))  # type: ignore[misc]
        for size in BATCHES
    }
    best = max(speeds, key=lambda size: speeds[size])
    seconds = timed(lambda: pipe(list(wanted), batch_size=best, truncation=True))
    tokens = sum(len(tokenizer(t, truncation=True)["input_ids"]) for t in wanted)
    return {"texts": len(wanted) / seconds, "tokens": tokens / seconds, "batch": best, "peak": peak()}


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak() -> float:
    """Most memory of this process so far, MB (Linux counts kB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def apart(who: str, folder: Path, shortest: int, longest: int, count: int) -> dict[str, float] | None:
    """One of the two in a process of its own; None where it cannot run."""
    command = [sys.executable, "-m", "tests.bench.classify", str(folder), "--only", who]
    command += ["--between", str(shortest), str(longest), "--count", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{who} cannot run here: {done.stderr.strip().splitlines()[-1]}")
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def speed(folder: Path) -> None:
    """Both, on texts of 25 to 128 tokens and on texts of up to 512."""
    for shortest, longest, count in ((25, 128, 400), (1, 512, TEXTS)):
        print(f"\n{count} texts of {shortest} to {longest} tokens")
        found = {who: apart(who, folder, shortest, longest, count) for who in ("ours", "others")}
        for who, one in found.items():
            if one:
                print(f"{who:7} " + "  ".join(f"{name} {value:,.1f}" for name, value in one.items()))
        if found["ours"] and found["others"]:
            print(f"ratio of texts/s: {found['ours']['texts'] / found['others']['texts']:.1f}")


def quality(folder: Path, most: int) -> None:
    """Macro-F1 by the largest probability, coverage and accuracy at the threshold, calibration."""
    from classify.bundled import Bundled
    from classify.training import measure as m

    found = m.measure(Bundled(), m.everything(folder / "eval", folder / "train", most))
    for f in found.figures:
        print(
            f"{f.name:46} {f.language:4} {f.rows:5}  F1 {f.macro_f1:.3f}  sure {f.coverage:.2f}  right {f.accuracy:.3f}"
        )
    print()
    for name, value in found.summary():
        print(f"{name:55} {value:.3f}")


def main() -> None:
    """Print everything, or (`--only`) one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("TOCSIN_SENTIMENT"))
    parser.add_argument("--most", type=int, default=1_000, help="rows of a set")
    parser.add_argument("--only", choices=("ours", "others"))
    parser.add_argument("--between", type=int, nargs=2, default=(1, 512))
    parser.add_argument("--count", type=int, default=TEXTS)
    options = parser.parse_args()
    if options.folder is None:
        sys.exit("Say where the sentiment sets are (folders train and eval): set TOCSIN_SENTIMENT.")
    folder = Path(options.folder)
    if options.only:
        wanted = texts(folder, *options.between)[: options.count]
        print(json.dumps({"ours": ours, "others": others}[options.only](wanted)))
        return
    quality(folder, options.most)
    speed(folder)


if __name__ == "__main__":
    main()
