"""Rounding to 8-bit whole numbers, as one operator that torch computes and every engine knows.

torch's own fake quantisation cannot be exported for batches of any size (torch 2.13).
"""

from typing import Any

import torch
from torch import Tensor
from torch.onnx import symbolic_helper

UNSIGNED = (0, 255)
SIGNED = (-128, 127)


@torch.library.custom_op("imagetext::rounded", mutates_args=())
def rounded(x: Tensor, step: float, signed: bool) -> Tensor:
    """Numbers of any shape -> the nearest that are `step` times a whole number of 8 bits, with or without sign."""
    return torch.fake_quantize_per_tensor_affine(x, step, 0, *(SIGNED if signed else UNSIGNED))


@rounded.register_fake
def _(x: Tensor, step: float, signed: bool) -> Tensor:
    return torch.empty_like(x)


@symbolic_helper.parse_args("v", "f", "b")
def rounded_in_onnx(graph: Any, x: Any, step: float, signed: bool) -> Any:
    """What it is in ONNX."""
    scale = graph.op("Constant", value_t=torch.tensor(step, dtype=torch.float32))
    zero = graph.op("Constant", value_t=torch.tensor(0, dtype=torch.int8 if signed else torch.uint8))
    return graph.op("DequantizeLinear", graph.op("QuantizeLinear", x, scale, zero), scale, zero)
