"""Rounding to 8-bit whole numbers, as one operator that torch computes and every engine knows.

torch's own fake quantisation cannot be exported for batches of any size (torch 2.13).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

UNSIGNED = (0, 255)
SIGNED = (-128, 127)


@torch.library.custom_op("imagetext::rounded", mutates_args=())
def rounded(x: Tensor, step: float, signed: bool) -> Tensor:
    """Numbers of any shape -> the nearest that are `step` times a whole number of 8 bits, with or without sign."""
    return torch.fake_quantize_per_tensor_affine(x, step, 0, *(SIGNED if signed else UNSIGNED))


@rounded.register_fake
def _(x: Tensor, step: float, signed: bool) -> Tensor:
    return torch.empty_like(x)


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What it is in ONNX."""
    import numpy as np
    from onnx import numpy_helper
    from onnxscript import opset20 as op

    def quantized(x: Any, step: float, signed: bool) -> Any:
        kind = np.int8 if signed else np.uint8
        scale = op.Constant(value=numpy_helper.from_array(np.array(step, dtype=np.float32)))
        zero = op.Constant(value=numpy_helper.from_array(np.array(0, dtype=kind)))
        return op.DequantizeLinear(op.QuantizeLinear(x, scale, zero), scale, zero)  # type: ignore[type-var]

    return {torch.ops.imagetext.rounded.default: quantized}
