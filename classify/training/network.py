"""The network: an encoder with three heads: mood of the whole text, judgement about the target, kind of complaint."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, BertConfig, BertModel

from classify.sentiment import COMPLAINTS, LABELS

DROPOUT = 0.1


class Judge(nn.Module):
    """token numbers [B, T], target mask [B, T], attention mask [B, T] -> logits of text, target [B, 3], kind
    [B, 7], and what the text is like [B, H].

    Tokens of the target carry the second of BERT's two token types, so every layer knows whom the question is about.
    The judgement about the target is the mood of the text plus a correction: a language that has no texts with targets
    to learn from falls back on the mood, not on chance.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.encoder = BertModel(config, add_pooling_layer=False)
        width = config.hidden_size
        self.text_head = head(width, len(LABELS))
        self.target_head = head(2 * width, len(LABELS))
        self.kind_head = head(2 * width, len(COMPLAINTS))

    def forward(self, ids: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`mask` is 1 where there is a token; without it every place holds one (so the exported graph needs none)."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask, token_type_ids=target.long()).last_hidden_state
        every = torch.ones_like(target) if mask is None else mask.to(target.dtype)
        whole = mean(hidden, every)
        both = torch.cat([mean(hidden, target), whole], dim=-1)
        text = self.text_head(whole)
        return text, text + self.target_head(both), self.kind_head(both), whole


def head(width: int, classes: int) -> nn.Sequential:
    """One hidden layer on top of pooled features."""
    hidden = 384
    return nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, classes))


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
    with torch.no_grad():
        types = judge.encoder.embeddings.token_type_embeddings.weight
        types[1] = types[0]
        last = judge.target_head[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(0.1)
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
