"""Why the original's training from scratch stood still, and that ours does not.

Its loss: soft targets from the dot products of the very embeddings that are trained, not normalised, temperature 1,
and not detached. Its head: Linear, GELU, Linear, residual, LayerNorm.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.clip.tune import clip_loss

PICTURES, WIDTH = 32, 64
Loss = Callable[[Tensor, Tensor], Tensor]


def original_loss(pictures: Tensor, texts: Tensor) -> Tensor:
    logits = texts @ pictures.T
    targets = ((pictures @ pictures.T + texts @ texts.T) / 2).softmax(-1)

    def cost(scores: Tensor, wanted: Tensor) -> Tensor:
        return (-wanted * scores.log_softmax(-1)).sum(1)

    return ((cost(logits, targets) + cost(logits.T, targets.T)) / 2).mean()


def our_loss(pictures: Tensor, texts: Tensor) -> Tensor:
    rows = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    return clip_loss(*rows, torch.tensor(1 / 0.07, dtype=pictures.dtype), 0.0, 0.2)


class Head(nn.Module):
    """The original's."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.mix = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        projected = self.project(features)
        return self.norm(projected + self.mix(F.gelu(projected)))


def cosine(rows: Tensor) -> float:
    """The mean over all pairs."""
    unit = F.normalize(rows, dim=-1)
    return float((unit @ unit.T)[~torch.eye(len(rows), dtype=torch.bool)].mean())


def train(loss: Loss) -> tuple[Tensor, Tensor, float]:
    """Two small networks over features of which all are nearly the same, as raw networks give them: a large common part
    beside what tells pictures apart. Returns both embeddings, and the mean cosine of the pictures' at the start."""
    torch.manual_seed(0)
    own = torch.randn(PICTURES, WIDTH)
    common = [torch.randn(1, WIDTH) for _ in range(2)]
    features = [shared + 0.05 * own @ torch.randn(WIDTH, WIDTH) / math.sqrt(WIDTH) for shared in common]
    networks = nn.ModuleList([nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), Head()) for _ in range(2)])
    optimizer = torch.optim.AdamW(networks.parameters(), 1e-3)
    start = cosine(networks[0](features[0]).detach())
    for _ in range(400):
        value = loss(networks[0](features[0]), networks[1](features[1]))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    with torch.no_grad():
        return networks[0](features[0]), networks[1](features[1]), start


@pytest.mark.parametrize("batch", [4, 32])
def test_the_originals_loss_has_no_gradient_where_all_embeddings_are_equal(batch: int) -> None:
    """Logits and targets are both uniform there: the loss is ln B, whatever the weights, and nothing moves."""
    pictures = torch.randn(1, WIDTH).repeat(batch, 1).requires_grad_(True)
    texts = torch.randn(1, WIDTH).repeat(batch, 1).requires_grad_(True)

    value = original_loss(pictures, texts)
    value.backward()

    assert float(value.detach()) == pytest.approx(math.log(batch), abs=1e-5)
    assert float(pictures.grad.abs().max()) < 1e-6
    assert float(texts.grad.abs().max()) < 1e-6


def growth(loss: Loss, spread: float) -> float:
    """By which share of itself what tells the pictures apart grows, for each unit of a step down the gradient. Every
    text already stands beside its picture, both at `spread` around what all have in common."""
    generator = torch.Generator().manual_seed(0)
    common = F.normalize(torch.randn(1, WIDTH, generator=generator, dtype=torch.float64), dim=-1) * math.sqrt(WIDTH)
    own = torch.randn(PICTURES, WIDTH, generator=generator, dtype=torch.float64)
    own = spread * (own - own.mean(0) - (own - own.mean(0)) @ common.T @ common / WIDTH)
    pair = [(common + own).requires_grad_(True) for _ in range(2)]
    gradients = torch.autograd.grad(loss(*pair), pair)
    return float(-(gradients[0] * own).sum() / (own * own).sum())


def test_the_originals_loss_has_no_way_out_and_ours_has() -> None:
    """Ten times nearer to the collapsed state ours drives the pictures apart at the same rate; the original's falls
    a hundredfold: its slope vanishes with the cube of the spread."""
    ours, original = ([growth(loss, spread) for spread in (0.01, 0.001)] for loss in (our_loss, original_loss))

    assert ours[0] > 0
    assert ours[1] == pytest.approx(ours[0], rel=0.05)
    assert abs(original[1]) < abs(original[0]) / 50
    assert abs(original[0]) < ours[0] / 50


def test_from_nearly_alike_embeddings_only_ours_learns() -> None:
    """The same networks, features and steps: the original's end all alike, with the recall of chance; ours find
    every picture by its text."""
    found = {}
    for name, loss in (("original", original_loss), ("ours", our_loss)):
        pictures, texts, start = train(loss)
        similar = F.normalize(texts, dim=-1) @ F.normalize(pictures, dim=-1).T
        recall = float((similar.argmax(1) == torch.arange(PICTURES)).float().mean())
        found[name] = (start, cosine(pictures), recall)

    assert found["original"][0] == found["ours"][0] > 0.99
    assert found["original"][1] > 0.95
    assert found["original"][2] < 0.2
    assert found["ours"][1] < 0.5
    assert found["ours"][2] > 0.9
