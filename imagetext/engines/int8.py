"""Int8 in exported networks: rounded activations, and large matrices with a scale for each group of a column.

`rounded` is one operator that torch computes and every engine knows: torch's own fake quantisation cannot be exported
for batches of any size (torch 2.13).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.onnx import symbolic_helper

from imagetext.engines.network import Array

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


UNSIGNED = (0, 255)
SIGNED = (-128, 127)

GROUP = 64  # values of a column that share a scale: one scale per column is too coarse to agree with torch
LEAST = 100_000  # values of a matrix: smaller ones are not worth it
# The matrices must hold this many times the values of all filters. A filter is applied at every place of a picture, so
# convolutions take more time than their share of values; where they dominate, int8 matrices cost agreement for little.
MATRICES = 2
OPSET = 21  # the first with scales per group; the operators used here mean the same as in `export.OPSET`
HIGHEST = 127


@torch.library.custom_op("imagetext::rounded", mutates_args=())
def rounded(x: Tensor, step: float, signed: bool) -> Tensor:
    """Values of any shape -> the nearest multiples of `step` whose factor is an 8-bit integer, signed or not."""
    return torch.fake_quantize_per_tensor_affine(x, step, 0, *(SIGNED if signed else UNSIGNED))


@rounded.register_fake
def _(x: Tensor, step: float, signed: bool) -> Tensor:
    return torch.empty_like(x)


@symbolic_helper.parse_args("v", "f", "b")
def rounded_in_onnx(graph: Any, x: Any, step: float, signed: bool) -> Any:
    """The operator in ONNX."""
    scale = graph.op("Constant", value_t=torch.tensor(step, dtype=torch.float32))
    zero = graph.op("Constant", value_t=torch.tensor(0, dtype=torch.int8 if signed else torch.uint8))
    return graph.op("DequantizeLinear", graph.op("QuantizeLinear", x, scale, zero), scale, zero)


def write_int8_weights(file: Path, out: Path) -> None:
    """Write an exported network again with its large matrices in int8.

    Nothing is written if that would not help: without large matrices, or beside many convolutions, which stay as they
    are.
    """
    import onnx

    model = onnx.load(file)
    if compress(model):
        onnx.save(model, out)


def compress(model: "ModelProto") -> bool:
    """Store large matrices in int8; False if that would not help and nothing was changed."""
    from onnx import helper, numpy_helper

    graph = model.graph
    products = list(_products(graph))
    matrices = {name: matrix for _, name, matrix in products}
    if not matrices or sum(matrix.size for matrix in matrices.values()) < MATRICES * _convolved(graph):
        return False
    scaled: list[NodeProto] = []
    for name, matrix in matrices.items():
        numbers, scales = in_groups(matrix)
        stored = [f"{name}_int8", f"{name}_scales"]
        graph.initializer.extend(map(numpy_helper.from_array, (numbers, scales), stored))
        scaled.append(helper.make_node("DequantizeLinear", stored, [f"{name}_scaled"], axis=0, block_size=GROUP))
    for node, name, _ in products:
        node.input[1] = f"{name}_scaled"
        for attribute in node.attribute:
            if attribute.name == "transB":
                attribute.i = 0
    nodes = [*scaled, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    _leave_out_unused(graph)
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = max(opset.version, OPSET)
    return True


def in_groups(matrix: Array) -> tuple[Array, Array]:
    """A matrix (inputs, outputs) -> int8 values of the same shape, scales (inputs / GROUP, outputs)."""
    inputs, outputs = matrix.shape
    groups = matrix.reshape(inputs // GROUP, GROUP, outputs).astype(np.float32)
    scales = np.maximum(np.abs(groups).max(1) / HIGHEST, np.finfo(np.float32).tiny)
    numbers = np.rint(groups / scales[:, None]).clip(-HIGHEST, HIGHEST)
    return numbers.reshape(inputs, outputs).astype(np.int8), scales


def _products(graph: "GraphProto") -> "Iterator[tuple[NodeProto, str, Array]]":
    """Products with a large constant matrix: the node, a name for the matrix as multiplied, and that matrix."""
    from onnx import numpy_helper

    stored = {each.name: each for each in graph.initializer}
    turned = {node.output[0]: node.input[0] for node in graph.node if _turns_a_matrix(node)}
    for node in graph.node:
        if node.op_type not in ("MatMul", "Gemm"):
            continue
        given = node.input[1]
        name = turned.get(given, given)
        if name not in stored or len(stored[name].dims) != 2 or np.prod(stored[name].dims) < LEAST:
            continue
        transposed = (given in turned) != bool(_attribute(node, "transB", 0))
        matrix = numpy_helper.to_array(stored[name])
        matrix = matrix.T if transposed else matrix
        if np.issubdtype(matrix.dtype, np.floating) and len(matrix) % GROUP == 0:
            yield node, f"{name}_transposed" if transposed else name, matrix


def _turns_a_matrix(node: "NodeProto") -> bool:
    return node.op_type == "Transpose" and list(_attribute(node, "perm", [1, 0])) == [1, 0]


def _attribute(node: "NodeProto", name: str, default: Any) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def _convolved(graph: "GraphProto") -> int:
    """How many values all filters have."""
    filters = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    return sum(int(np.prod(each.dims)) for each in graph.initializer if each.name in filters)


def _leave_out_unused(graph: "GraphProto") -> None:
    """Drop transpositions and constants that are no longer read."""
    read = _read(graph)
    nodes = [node for node in graph.node if node.op_type != "Transpose" or node.output[0] in read]
    del graph.node[:]
    graph.node.extend(nodes)
    read = _read(graph)
    constants = [each for each in graph.initializer if each.name in read]
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _read(graph: "GraphProto") -> set[str]:
    """Names that nodes, the graphs within them and the outputs refer to."""
    within = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    names = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    return names.union(*map(_read, within))
