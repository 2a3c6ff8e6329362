"""Several processes of one run, and one that is alone."""

from pathlib import Path

import torch
from torch import nn

from tests.training.launching import launch
from training.processes import ALONE, Processes


def test_two_processes_share_and_agree(tmp_path: Path) -> None:
    """Each takes its part of a batch and learns what the other has; the first one is the main one."""
    launch(2, "tests.training.asked_together", tmp_path)

    first, second = (torch.load(tmp_path / f"{index}.pt") for index in (0, 1))

    assert [one["main"] for one in (first, second)] == [True, False]
    assert first["share"].tolist() == [0, 2, 4] and second["share"].tolist() == [1, 3]
    assert (first["found"], second["found"]) == (False, True)
    for one in (first, second):
        assert (one["count"], one["device"]) == (2, "cpu")
        assert one["every"] == [10, 11]
        assert one["mean"] == 0.5 and one["mean of none"] != one["mean of none"]
        assert [rows.tolist() for rows in one["rows"]] == [[[0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]]
        assert (one["gradient"] == 2.0).all() and one["no gradient"] is None
    torch.manual_seed(5)
    assert torch.equal(first["alike"], torch.rand(3)) and torch.equal(second["alike"], first["alike"])
    assert not torch.equal(first["apart"], second["apart"])


def test_a_process_alone_changes_nothing() -> None:
    """It has the whole batch and its own gradient, and not one random number is drawn."""
    rows, module = torch.arange(6), nn.Linear(2, 2)
    module.weight.grad = torch.ones(2, 2)
    before = torch.get_rng_state()

    ALONE.draw_alike()
    ALONE.draw_apart()
    ALONE.average_gradients(module)
    ALONE.wait()
    ALONE.end()

    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(ALONE.share(rows), rows) and torch.equal(ALONE.gather(rows)[0], rows)
    assert (module.weight.grad == 1).all()
    assert ALONE.main and ALONE.every(3) == [3] and ALONE.mean(torch.tensor(0.25)) == 0.25


def test_more_processes_than_rows() -> None:
    """The last ones get nothing of a small batch."""
    shares = [Processes(3, index).share(torch.arange(2)).tolist() for index in range(3)]

    assert shares == [[0], [1], []]
