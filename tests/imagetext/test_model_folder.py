"""Model folders on disk."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from imagetext.models.folder import CARD, WEIGHTS, ModelFolder
from imagetext.models.weights import changed_tensors, load_weights, write_model_folder
from imagetext.wire.errors import ModelError


def write(folder: Path, module: nn.Module) -> None:
    write_model_folder(folder, {"name": "tiny"}, changed_tensors("part", module), "# card", {"words.txt": "a\n"})


def test_what_is_written_is_laid_over_the_module(tmp_path: Path) -> None:
    """A module gets back its tensors, up to half precision."""
    trained, fresh = nn.Linear(3, 2), nn.Linear(3, 2)
    write(tmp_path, trained)

    load_weights(ModelFolder.open(tmp_path), {"part": fresh})

    assert torch.allclose(fresh.weight, trained.weight, atol=1e-3)


def test_fingerprint_follows_every_file_but_the_card(tmp_path: Path) -> None:
    """An answer can depend on weights, config and words, never on the card."""
    write(tmp_path, nn.Linear(3, 2))
    before = ModelFolder.open(tmp_path).fingerprint

    (tmp_path / CARD).write_text("# another card")
    assert ModelFolder.open(tmp_path).fingerprint == before
    (tmp_path / "words.txt").write_text("b\n")
    assert ModelFolder.open(tmp_path).fingerprint != before


@pytest.mark.parametrize("damage", ["missing", "truncated", "other shape", "no config"])
def test_damaged_folder_is_a_model_error(tmp_path: Path, damage: str) -> None:
    """Whatever is wrong with the folder, the error is ModelError and names the folder."""
    write(tmp_path, nn.Linear(4 if damage == "other shape" else 3, 2))
    weights = tmp_path / WEIGHTS
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:40])
    elif damage == "no config":
        (tmp_path / "config.json").write_text("{")

    with pytest.raises(ModelError, match=tmp_path.name):
        load_weights(ModelFolder.open(tmp_path), {"part": nn.Linear(3, 2)})


def test_only_changed_tensors_are_kept() -> None:
    """Against a starting state, tensors that training left alone are not stored."""
    module = nn.Linear(3, 2)
    start = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        module.bias.add_(1)

    assert set(changed_tensors("part", module, start)) == {"part.bias"}


def test_matrices_take_a_byte_a_number(tmp_path: Path) -> None:
    """Long rows come back within half a step of their own scale, at a quarter of the size of float32."""
    trained, fresh = nn.Linear(256, 64), nn.Linear(256, 64)
    with torch.no_grad():
        trained.weight[0] *= 1000  # one loud row must not cost the others their precision
    write(tmp_path, trained)

    load_weights(ModelFolder.open(tmp_path), {"part": fresh})

    step = trained.weight.abs().amax(1, keepdim=True) / 127
    assert ((fresh.weight - trained.weight).abs() <= step * 0.51).all()
    assert (tmp_path / WEIGHTS).stat().st_size < 256 * 64 * 1.1


def test_a_matrix_without_its_scale_is_refused(tmp_path: Path) -> None:
    """Integers alone mean nothing."""
    write(tmp_path, nn.Linear(256, 64))
    tensors = load_file(tmp_path / WEIGHTS)
    del tensors["part.weight.scale"]
    save_file(tensors, tmp_path / WEIGHTS)

    with pytest.raises(ModelError, match="scale"):
        load_weights(ModelFolder.open(tmp_path), {"part": nn.Linear(256, 64)})


def test_tied_tensors_are_stored_once() -> None:
    """What is one tensor in memory is one on disk."""
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight

    stored = changed_tensors("part", nn.Sequential(first, second))

    assert set(stored) == {"part.0.weight", "part.0.bias", "part.1.bias"}
