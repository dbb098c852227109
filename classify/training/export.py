"""The trained network -> the shipped artefact: ONNX, int8 matrices, 4-bit word embeddings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from classify.training.network import Judge

BLOCK = 32
"""Weights that share one scale in the 4-bit embeddings (the Q4_0 format of ggml: value = (nibble - 8) * scale)."""


def export_fp32(judge: Judge, path: Path) -> None:
    """Inputs: ids [B, T] int64, mask [B, T] float32 (1: belongs to the target). Outputs: text, target [B, 3], kind [B, 7], like [B, H].

    All texts of a batch have the same length; there is no padding.
    """
    judge.eval()
    judge.encoder.set_attn_implementation("eager")
    ids = torch.tensor([[0, 10, 11, 12, 13, 2]])
    mask = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]])
    torch.onnx.export(
        judge,
        (ids, mask),
        str(path),
        input_names=["ids", "mask"],
        output_names=["text", "target", "kind", "like"],
        dynamic_axes={"ids": {0: "b", 1: "t"}, "mask": {0: "b", 1: "t"}},
        opset_version=17,
        dynamo=False,
    )


def quantise(fp32: Path, out: Path) -> None:
    """int8 matrices (per channel, reduced range: exact on AVX2), then 4-bit word embeddings."""
    quantize_dynamic(
        fp32, out, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, reduce_range=True,
        weight_type=QuantType.QInt8,
    )  # fmt: skip
    model = onnx.load(out)
    pack_embeddings(model)
    onnx.save(model, out)


def pack_embeddings(model: Any) -> None:
    """Replace the look-up of word embeddings by one in 4-bit blocks; lossless where the base was stored so."""
    graph = model.graph
    table = max(graph.initializer, key=lambda i: np.prod(i.dims))
    nibbles, scales = blocks(numpy_helper.to_array(table))
    node = next(n for n in graph.node if n.op_type == "Gather" and n.input[0] == table.name)
    packed = helper.make_tensor(
        "words.packed", TensorProto.UINT4, nibbles.shape, (nibbles[:, 0::2] | nibbles[:, 1::2] << 4).tobytes(), raw=True
    )
    at = list(graph.node).index(node)
    graph.node.remove(node)
    graph.node.insert(
        at,
        helper.make_node(
            "GatherBlockQuantized", ["words.packed", node.input[1], "words.scales"], ["words.half"],
            domain="com.microsoft", gather_axis=0, quantize_axis=1, block_size=BLOCK,
        ),
    )  # fmt: skip
    graph.node.insert(at + 1, helper.make_node("Cast", ["words.half"], [node.output[0]], to=TensorProto.FLOAT))
    graph.initializer.remove(table)
    graph.initializer.extend([packed, numpy_helper.from_array(scales, "words.scales")])
    zero = helper.make_tensor("words.zero", TensorProto.UINT4, scales.shape,
                              np.full(scales.size // 2, 0x88, np.uint8).tobytes(), raw=True)  # fmt: skip
    graph.initializer.append(zero)
    graph.node[at].input.append("words.zero")
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = max(opset.version, 21)
    model.ir_version = max(model.ir_version, 10)


def blocks(table: "np.typing.NDArray[np.float32]") -> tuple[Any, Any]:
    """[V, H] -> nibbles [V, H] uint8 in 0..15, scales [V, H / BLOCK] float16."""
    grouped = table.reshape(len(table), -1, BLOCK)
    peak = np.take_along_axis(grouped, np.abs(grouped).argmax(-1, keepdims=True), -1)[..., 0]
    scales = (peak / -8.0).astype(np.float16)
    divisor = np.where(scales == 0, 1, scales.astype(np.float32))[..., None]
    nibbles = np.clip(np.rint(grouped / divisor) + 8, 0, 15).astype(np.uint8)
    return nibbles.reshape(table.shape), scales


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """What the serving side has to know: name, temperatures, threshold."""
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
