"""Large matrices in int8: nearly the same numbers from a quarter of the bytes, where that is of use at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from imagetext.engines import Engines, Network
from imagetext.engines.backends import Arithmetic, run_in_openvino
from imagetext.engines.export import Program, export
from imagetext.engines.int8 import compress

WIDE = 320  # five groups
ROWS = np.random.default_rng(0).standard_normal((7, WIDE), dtype=np.float32)


def two_layers(between: int, **more: float) -> Program:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(WIDE, between), nn.GELU(), nn.Linear(between, WIDE)).eval()
    return Program("layers", network, (torch.from_numpy(ROWS[:1]),), ((0,),), **more)


def types(file: Path) -> dict[tuple[int, ...], int]:
    """Of all stored matrices."""
    return {tuple(each.dims): each.data_type for each in onnx.load(file).graph.initializer if len(each.dims) == 2}


def cosine(found: np.ndarray, expected: np.ndarray) -> float:
    """The lowest of all rows."""
    return float(((found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)).min())


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Network]:
    """In torch, and as engines take them."""
    program = two_layers(384)
    return program, export(program, tmp_path_factory.mktemp("layers-1"))


def test_rows_point_the_same_way(layers: tuple[Program, Network]) -> None:
    """With another number of rows than it was exported with, too."""
    program, network = layers
    run = run_in_openvino(network, arithmetic=Arithmetic(group=64), threads=2)

    assert run is not None
    for rows in (ROWS, ROWS[:2]):
        expected = program.module(torch.from_numpy(rows)).detach().numpy()
        assert cosine(run(rows)[0], expected) > 0.9995


def test_it_takes_a_quarter_of_the_bytes(layers: tuple[Program, Network]) -> None:
    """The file lies beside the one that it was made from."""
    _, network = layers

    assert network.int8_file is not None
    assert network.int8_file.stat().st_size < 0.35 * network.file.stat().st_size


def test_a_matrix_of_half_groups_stays(tmp_path: Path) -> None:
    """350 numbers of a column are no whole number of groups; the other matrix is rewritten all the same."""
    file = export(two_layers(350), tmp_path).int8_file

    assert file is not None
    found = types(file)
    assert found[WIDE, 350] == TensorProto.INT8
    assert TensorProto.INT8 not in {kind for shape, kind in found.items() if shape[0] == 350}


@pytest.mark.parametrize("form", ["as it is", "Transpose", "transB"])
def test_a_matrix_is_reached_through_a_transposition(form: str) -> None:
    """The numbers are grouped along the inputs, whichever way round they were stored, and the old ones are gone."""
    matrix = np.random.default_rng(1).standard_normal((WIDE, 384), dtype=np.float32)
    stored = matrix if form == "as it is" else np.ascontiguousarray(matrix.T)
    nodes = {
        "as it is": [helper.make_node("MatMul", ["rows", "matrix"], ["found"])],
        "Transpose": [
            helper.make_node("Transpose", ["matrix"], ["turned"], perm=[1, 0]),
            helper.make_node("MatMul", ["rows", "turned"], ["found"]),
        ],
        "transB": [helper.make_node("Gemm", ["rows", "matrix"], ["found"], transB=1)],
    }
    graph = helper.make_graph(
        nodes[form],
        "product",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", WIDE])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, ["n", 384])],
        [numpy_helper.from_array(stored, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)

    assert compress(model)

    assert sorted(each.data_type for each in model.graph.initializer) == [TensorProto.FLOAT, TensorProto.INT8]
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert cosine(session.run(None, {"rows": ROWS})[0], ROWS @ matrix) > 0.9998


def test_a_matrix_that_is_also_looked_up_stays_for_that(tmp_path: Path) -> None:
    """Embeddings that are multiplied with as well: rows are taken from the numbers as they were."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(500, WIDE)

        def forward(self, words: Tensor) -> Tensor:
            found: Tensor = self.words(words) @ self.words.weight.T
            return found

    torch.manual_seed(0)
    words = torch.tensor([3, 499, 0])
    program = Program("tied", Tied().eval(), (words,), ((0,),))
    run = run_in_openvino(export(program, tmp_path), arithmetic=Arithmetic(group=64), threads=1)

    assert run is not None
    assert cosine(run(words.numpy())[0], program.module(words).detach().numpy()) > 0.9995


class Picture(nn.Module):
    """Filters and a large matrix after them."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(64, 128, 3)
        self.head = nn.Linear(128, 900)

    def forward(self, picture: Tensor) -> Tensor:
        rows: Tensor = self.head(self.filters(picture).mean((2, 3)))
        return rows


@pytest.mark.parametrize(
    "program",
    [
        Program("small", nn.Linear(64, 64).eval(), (torch.randn(1, 64),), ((0,),)),
        Program("convolved", Picture().eval(), (torch.randn(1, 64, 8, 8),), ((0,),)),
        two_layers(384, tolerance=0.01),
        replace(two_layers(384), int8=False),
    ],
    ids=lambda program: program.name,
)
def test_it_is_not_tried_where_it_is_of_no_use(program: Program, tmp_path: Path) -> None:
    """Small matrices, many filters, and numbers that are ranked; whoever asks for it alone gets nothing."""
    network = export(program, tmp_path)

    assert network.int8_file is None
    assert Engines(only="openvino-int8-64").load(network) is None


def test_what_disagrees_is_refused(tmp_path: Path) -> None:
    """One number far larger than its neighbours leaves them no digits; here they are all that counts.

    The next start knows what was refused, and why.
    """
    program = two_layers(384)
    with torch.no_grad():
        program.module[0].weight[:, ::64] = 1000
        program.example[0][:, ::64] = 0
    network = export(program, tmp_path)

    first, second = Engines(tmp_path / "kept").load(network), Engines(tmp_path / "kept").load(network)

    assert first is not None and second is not None
    assert first.refused["openvino-int8-64"].startswith("cosine")
    assert second.refused == first.refused


def test_the_choice_is_remembered(layers: tuple[Program, Network], tmp_path: Path) -> None:
    """The next start loads the rewritten file."""
    program, network = layers
    Engines(tmp_path).load(network)
    (kept,) = (tmp_path / "choices").glob("*.json")
    kept.write_text('{"engine": "openvino-int8-64", "batches": {"1": 1.0}, "refused": {}}')

    loaded = Engines(tmp_path).load(network)

    assert loaded is not None
    assert loaded.engine == "openvino-int8-64"
    assert cosine(loaded.run(ROWS)[0], program.module(torch.from_numpy(ROWS)).detach().numpy()) > 0.9995
