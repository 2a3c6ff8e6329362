"""What one of several processes answers about itself and the others: `python -m ... FOLDER` writes INDEX.pt there."""

import sys
from pathlib import Path

import torch
from torch import nn

from training.processes import launched


def main(folder: Path) -> None:
    processes = launched("cpu")
    index = processes.index
    answers = {"count": processes.count, "main": processes.main, "device": processes.device}
    answers["share"] = processes.share(torch.arange(5))
    answers["every"] = processes.every(10 + index)
    answers["mean"] = processes.mean(torch.tensor(float(index)))
    answers["mean of none"] = processes.mean(torch.tensor(float("nan") if index else 1.0))
    answers["rows"] = processes.gather(torch.full((index + 1, 2), float(index)))
    module = nn.Linear(3, 2)
    module.weight.grad = torch.full((2, 3), 4.0 * index)
    processes.average_gradients(module)
    answers["gradient"], answers["no gradient"] = module.weight.grad, module.bias.grad
    torch.manual_seed(5 + index)
    processes.draw_alike()
    answers["alike"] = torch.rand(3)
    processes.draw_apart()
    answers["apart"] = torch.rand(3)
    with processes.main_first():
        answers["found"] = (folder / "file").exists()
        (folder / "file").touch()
    torch.save(answers, folder / f"{index}.pt")
    processes.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
