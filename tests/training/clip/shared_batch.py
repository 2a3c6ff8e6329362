"""The gradient of a batch that several processes share: `python -m ... FOLDER` writes each one's to INDEX.pt there."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.imagetext.encoder.tiny_clip import tiny_clip
from training.clip.tune import ClipTowers, clip_loss
from training.contrastive import Side, backward_in_chunks
from training.processes import ALONE, Processes, launched

PICTURES, CAPTIONS = 7, 2


class Pair(nn.Module):
    """Two small networks in double precision, and a temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.text = (nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.Linear(9, 4)) for _ in range(2))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def pictures(self, chunk: Tensor) -> Tensor:
        return F.normalize(self.picture(chunk), dim=-1)

    def texts(self, chunk: Tensor) -> Tensor:
        return F.normalize(self.text(chunk), dim=-1)


def gradients(processes: Processes = ALONE) -> dict[str, Tensor]:
    """By the name of the parameter, with the loss: of the pair, and of a CLIP in single precision."""
    torch.manual_seed(1)
    pair, clip = Pair().double(), tiny_clip(layers=2)
    rows = torch.randn(PICTURES, 5).double(), torch.randn(PICTURES, CAPTIONS, 5).double()
    found = _gradients("pair", pair, pair, rows, processes)
    ids = torch.randint(0, 50, (PICTURES, CAPTIONS, 5))
    ids[..., -1] = 53
    inputs = torch.randn(PICTURES, 3, 32, 32), torch.stack([ids, torch.ones_like(ids)], 2)
    return found | _gradients("clip", clip, ClipTowers(clip, bfloat16=False), inputs, processes)


def _gradients(
    name: str, model: nn.Module, towers: Pair | ClipTowers, inputs: tuple[Tensor, Tensor], processes: Processes
) -> dict[str, Tensor]:
    def loss(pictures: Tensor, texts: Tensor) -> Tensor:
        return clip_loss(pictures, texts, model.logit_scale.exp(), hardest=0.5, margin=0.2)

    pictures, texts = processes.share(inputs[0]), processes.share(inputs[1]).flatten(0, 1)
    sides = [Side(towers.pictures, pictures.split(3)), Side(towers.texts, texts.split(3))]
    value = backward_in_chunks(sides, loss, processes)
    processes.average_gradients(model)
    found = {f"{name}.{key}": p.grad for key, p in model.named_parameters() if p.grad is not None}
    return found | {f"{name} loss": torch.tensor(value)}


if __name__ == "__main__":
    started = launched("cpu")
    torch.save(gradients(started), Path(sys.argv[1]) / f"{started.index}.pt")
    started.end()
