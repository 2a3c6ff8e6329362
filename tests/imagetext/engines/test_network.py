"""Exported networks on disk, and the pictures on which engines are compared."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imagetext.engines import Network
from imagetext.engines.export import Program, export
from imagetext.engines.network import example_pictures
from imagetext.wire.errors import ModelError

NOISE = 2  # of the pictures


class Sum(nn.Module):
    """Of two inputs, with the second of them beside it."""

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return left + right, right


def test_what_is_exported_is_read_again(tmp_path: Path) -> None:
    """All cases with torch's outputs, the usual one first, and what is allowed; equal arrays are stored once."""
    one, many = torch.ones(1, 1000), torch.arange(3000.0).view(3, 1000)
    program = Program("sum", Sum(), (one, one), ((0,), (0,)), ((many, many),), tolerance=0.25)

    export(program, tmp_path)
    network = Network.open(tmp_path, "sum")

    assert (network.free, network.tolerance, network.int8_file) == (((0,), (0,)), 0.25, None)
    assert all(np.array_equal(given, one) for given in network.inputs)
    assert [len(given[0]) for given, _ in network.cases] == [1, 3]
    for given, found in network.cases:
        assert np.array_equal(found[0], given[0] + given[1]) and np.array_equal(found[1], given[1])
    assert (tmp_path / "sum.safetensors").stat().st_size < (2 + 2 * 3) * 4000 + 2000


@pytest.mark.parametrize("damage", ["no facts", "half of the facts", "no sizes", "no arrays", "half of the arrays"])
def test_a_damaged_export_is_a_model_error(line: Network, tmp_path: Path, damage: str) -> None:
    """It says which folder to delete."""
    folder = tmp_path / "line-1"
    shutil.copytree(line.folder, folder)
    facts, arrays = folder / "line.json", folder / "line.safetensors"
    match damage:
        case "no facts":
            facts.unlink()
        case "half of the facts":
            facts.write_text(facts.read_text()[:20])
        case "no sizes":
            facts.write_text("{}")
        case "no arrays":
            arrays.unlink()
        case "half of the arrays":
            arrays.write_bytes(arrays.read_bytes()[:-20])

    with pytest.raises(ModelError, match=r"line-1.*delete"):
        _ = Network.open(folder, "line").cases


def test_pictures_are_the_same_in_every_start() -> None:
    """Whatever was drawn before them."""
    np.random.seed(5)
    first = example_pictures(64)
    np.random.seed(6)

    assert np.array_equal(first, example_pictures(64))


@pytest.mark.parametrize("size", [32, 224])
def test_some_pictures_are_noise_and_some_are_smooth(size: int) -> None:
    """Where neighbours differ by a third of the range, or by little."""
    pictures = example_pictures(size)
    steps = np.abs(np.diff(pictures.astype(float), axis=-1)).mean((1, 2, 3))

    assert (pictures.shape, pictures.dtype) == ((8, 3, size, size), np.uint8)
    assert (steps[:NOISE] > 60).all() and (steps[NOISE:] < 30).all()
    assert (pictures.reshape(8, -1).std(1) > 10).all()
