"""One of several processes that train a captioner: `python -m ... CONFIG SCENES FOLDER`; its weights go to INDEX.pt."""

import sys
from pathlib import Path

import torch

from training.captioner import GruConfig, Run
from training.loop import read_config
from training.processes import launched


def main(config: Path, scenes: Path, folder: Path) -> None:
    processes = launched("cpu")
    run = Run(read_config(GruConfig, config), scenes, None, folder / "cache", folder / "work", processes)
    run.cross_entropy()
    averaged = run.self_critical()
    torch.save([run.network.state_dict(), averaged.state_dict()], folder / f"{processes.index}.pt")
    if processes.main:
        run.write(folder / "model")
    processes.end()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
