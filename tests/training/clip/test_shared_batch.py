"""Fine-tuning in several processes: the negatives are those of the whole batch."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.imagetext.encoder.tiny_clip import save_tiny_clip
from tests.training.clip.shared_batch import gradients
from tests.training.clip.test_tune import CONFIGURATION, Tuning
from tests.training.launching import launch


def test_processes_together_have_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    """Seven pictures in uneven shares: loss and gradient are those of one process, and the same in all."""
    launch(3, "tests.training.clip.shared_batch", tmp_path)

    found = [torch.load(tmp_path / f"{index}.pt") for index in range(3)]
    alone = gradients()
    for one in found:
        assert set(one) == set(alone)
        for name, expected in alone.items():
            assert torch.equal(one[name], found[0][name])
            near = {"rtol": 1e-9, "atol": 1e-12} if name.startswith("pair.") else {"rtol": 1e-3, "atol": 1e-5}
            assert torch.allclose(one[name], expected, **near), name


def test_two_processes_tune_as_one_does(colours: Path, tmp_path: Path) -> None:
    """With the same plan of every pass, the same losses and the same end; what one of them cannot read is counted."""
    torch.manual_seed(0)
    save_tiny_clip(tmp_path / "start", layers=2)
    (colours / "Images" / "red-green.png").write_bytes(b"none")
    one, two = (Tuning(tmp_path / "start", [str(colours)], tmp_path / name, CONFIGURATION) for name in ("one", "two"))

    assert one.run() == 0
    launch(2, "training.clip", *two.arguments)

    mine, other = ([line for line in run.log() if line.get("epoch")] for run in (two, one))
    assert [line["loss"] for line in mine] == pytest.approx([line["loss"] for line in other], rel=1e-4)
    assert [line["unreadable"] for line in mine] == [1] * len(other)
    folders = (tmp_path / "start", one.out, two.out)
    start, alone, together = (load_file(folder / "model.safetensors") for folder in folders)
    moved = torch.cat([(alone[name] - start[name]).flatten() for name in start])
    apart = torch.cat([(alone[name] - together[name]).flatten() for name in start])
    assert float(apart.norm()) < 0.01 * float(moved.norm())
