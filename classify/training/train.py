"""Fine-tune the network: batches cut by tokens, sorted by length, a checkpoint every few minutes, resumable."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import Progress
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from classify.encode import PAD, Encoded, encode
from classify.training.network import Judge, save
from classify.training.sets import Row

CHECKPOINT_SECONDS = 240
TOKENS_A_BATCH = 1_600
TRAINING_LIMIT = 96
KIND_WEIGHT = 0.3
IGNORED = -100
"""Stands for "no kind known"; PyTorch's own number for a row that is left out of a loss."""


@dataclass(frozen=True, slots=True)
class Example:
    """A row cut into tokens."""

    encoded: Encoded
    label: int
    about_target: bool
    kind: int | None


def prepare(tokenizer: Tokenizer, rows: Sequence[Row]) -> list[Example]:
    """Rows -> examples; those without a target train the head of the whole text."""
    return [
        Example(
            encode(tokenizer, row.text, [row.span] if row.span else [], row.beside, TRAINING_LIMIT),
            row.label,
            row.span is not None or row.beside is not None,
            row.kind,
        )
        for row in rows
    ]


def batches(examples: Sequence[Example], chance: random.Random) -> list[list[Example]]:
    """Batches of about `TOKENS_A_BATCH` tokens of texts of like length, in random order."""
    order = sorted(examples, key=lambda e: len(e.encoded.ids) + chance.random() * 8)
    out: list[list[Example]] = []
    current: list[Example] = []
    for example in order:
        longest = max(len(example.encoded.ids), max((len(e.encoded.ids) for e in current), default=0))
        if current and longest * (len(current) + 1) > TOKENS_A_BATCH:
            out.append(current)
            current = []
        current.append(example)
    if current:
        out.append(current)
    chance.shuffle(out)
    return out


def tensors(batch: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """-> token numbers, target mask, attention mask; each [B, T], padded."""
    width = max(len(e.encoded.ids) for e in batch)
    ids = torch.full((len(batch), width), PAD)
    target = torch.zeros(len(batch), width)
    mask = torch.zeros(len(batch), width, dtype=torch.long)
    for i, e in enumerate(batch):
        n = len(e.encoded.ids)
        ids[i, :n] = torch.tensor(e.encoded.ids)
        target[i, :n] = torch.tensor(e.encoded.target, dtype=torch.float)
        mask[i, :n] = 1
    return ids, target, mask


def loss_of(judge: Judge, batch: Sequence[Example]) -> Tensor:
    """Cross-entropy with smoothed labels, each row through the head that it has a label for; where the kind of a
    complaint is known, that of the kind goes along with a smaller weight."""
    text, target, kind, _ = judge(*tensors(batch))
    about = torch.tensor([e.about_target for e in batch])[:, None]
    labels = torch.tensor([e.label for e in batch])
    loss = functional.cross_entropy(torch.where(about, target, text), labels, label_smoothing=0.05)
    kinds = torch.tensor([IGNORED if e.kind is None else e.kind for e in batch])
    known = (kinds != IGNORED).sum()
    if known:
        loss = loss + KIND_WEIGHT * functional.cross_entropy(kind, kinds, ignore_index=IGNORED) * known / len(batch)
    return loss


def fit(judge: Judge, examples: Sequence[Example], folder: Path, *, epochs: int, rate: float, seed: int) -> Judge:
    """Train; `folder` gets `latest.pt` every few minutes and is resumed from, `model.pt` and `log.jsonl` at the end."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    plan = [batch for _ in range(epochs) for batch in batches(examples, chance)]
    heads = [p for n, p in judge.named_parameters() if "head" in n]
    body = [p for n, p in judge.named_parameters() if "head" not in n and p.requires_grad]
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": rate}, {"params": heads, "lr": rate * 5}], weight_decay=0.01, fused=True
    )
    warm = max(1, len(plan) // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.02, (len(plan) - step) / (len(plan) - warm + 1)))
    )
    latest, step = folder / "latest.pt", 0
    if latest.exists():
        stored = torch.load(latest, weights_only=True)
        judge.load_state_dict(stored["judge"])
        optimizer.load_state_dict(stored["optimizer"])
        schedule.load_state_dict(stored["schedule"])
        step = stored["step"]
    judge.train()
    saved, mean = time.monotonic(), 0.0
    with Progress() as bar, (folder / "log.jsonl").open("a") as log:
        task = bar.add_task("training", total=len(plan), completed=step)
        for batch in plan[step:]:
            loss = loss_of(judge, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            step += 1
            mean = mean * 0.98 + float(loss.detach()) * 0.02
            bar.update(task, completed=step, description=f"training, loss {mean / (1 - 0.98 ** min(step, 500)):.3f}")
            if step % 50 == 0:
                log.write(json.dumps({"step": step, "of": len(plan), "loss": round(mean, 4)}) + "\n")
                log.flush()
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                part = latest.with_suffix(".part")
                torch.save(
                    {"judge": judge.state_dict(), "optimizer": optimizer.state_dict(),
                     "schedule": schedule.state_dict(), "step": step}, part,
                )  # fmt: skip
                part.replace(latest)
                saved = time.monotonic()
    judge.eval()
    save(judge, folder / "model.pt")
    latest.unlink(missing_ok=True)
    return judge
