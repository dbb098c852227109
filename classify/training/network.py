"""The network: an encoder with two heads, the mood of the whole text and the judgement about the marked target."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, BertConfig, BertModel

DROPOUT = 0.1


class Judge(nn.Module):
    """token numbers [B, T], target mask [B, T], lengths -> logits [B, 3] of the text, [B, 3] of the target."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.encoder = BertModel(config, add_pooling_layer=False)
        width = config.hidden_size
        self.text_head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 3))
        self.target_head = nn.Sequential(
            nn.Dropout(DROPOUT), nn.Linear(2 * width, width), nn.Tanh(), nn.Linear(width, 3)
        )

    def forward(self, ids: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`mask` is 1 where there is a token; without it every place holds one (so the exported graph needs none)."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        every = torch.ones_like(target) if mask is None else mask.to(target.dtype)
        text = mean(hidden, every)
        return self.text_head(text), self.target_head(torch.cat([mean(hidden, target), text], dim=-1))


def mean(hidden: Tensor, weights: Tensor) -> Tensor:
    """Mean of hidden [B, T, H] over places with weight 1; zeros where there is none."""
    return (hidden * weights[..., None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)


def from_base(base: str, rows: list[int], layers: list[int]) -> Judge:
    """Take some layers and some word embeddings of a checkpoint (a name or a path)."""
    source = AutoModel.from_pretrained(base)
    config = BertConfig.from_dict(
        {**source.config.to_dict(), "num_hidden_layers": len(layers), "vocab_size": len(rows)}
    )
    config._attn_implementation = "sdpa"
    judge = Judge(config)
    state = source.state_dict()
    wanted = {}
    for name in judge.encoder.state_dict():
        parts = name.split(".")
        if parts[0] == "encoder":
            parts[2] = str(layers[int(parts[2])])
        wanted[name] = state[".".join(parts)]
    wanted["embeddings.word_embeddings.weight"] = wanted["embeddings.word_embeddings.weight"][rows]
    judge.encoder.load_state_dict(wanted)
    judge.encoder.embeddings.word_embeddings.weight.requires_grad_(False)
    return judge


def save(judge: Judge, path: Path) -> None:
    """Write the weights with their configuration; a crash leaves the old file."""
    part = path.with_suffix(".part")
    torch.save({"config": judge.encoder.config.to_dict(), "state": judge.state_dict()}, part)
    part.replace(path)


def load(path: Path) -> Judge:
    """Read what `save` wrote."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    config = BertConfig.from_dict(stored["config"])
    config._attn_implementation = "sdpa"
    judge = Judge(config)
    judge.load_state_dict(stored["state"])
    return judge
