"""What a batch costs, worked out by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

from training.clip.tune import clip_loss
from training.contrastive import hardest_negatives


def test_captions_of_one_picture_are_no_negatives_of_another() -> None:
    """A second caption like the first costs nothing; were it a negative, the loss would rise."""
    pictures = F.normalize(torch.randn(4, 6), dim=-1)
    texts = F.normalize(pictures + 0.3 * torch.randn(4, 6), dim=-1)
    scale = torch.tensor(10.0)

    single = clip_loss(pictures, texts, scale, 0.0, 0.2)
    double = clip_loss(pictures, texts.repeat_interleave(2, 0), scale, 0.0, 0.2)

    assert float(double) == pytest.approx(float(single), abs=1e-6)


def test_hinge_counts_the_hardest_stranger_only() -> None:
    """By hand: of two strangers the nearer one counts, and none that is farther than the margin."""
    similar = torch.tensor([[[0.5, 0.4, 0.1], [0.0, 0.9, 0.0], [0.6, 0.2, 0.5]]])

    to_pictures = [0.2 + 0.4 - 0.5, 0.0, 0.2 + 0.6 - 0.5]
    to_texts = [0.2 + 0.6 - 0.5, 0.0, 0.0]
    expected = (sum(to_pictures) / 3 + sum(to_texts) / 3) / 2
    assert float(hardest_negatives(similar, 0.2)) == pytest.approx(expected, abs=1e-6)


def test_hinge_is_added_with_its_weight() -> None:
    """Without weight the loss is InfoNCE alone: ln n where all are alike."""
    alike = F.normalize(torch.ones(5, 3), dim=-1)

    assert float(clip_loss(alike, alike, torch.tensor(1.0), 0.0, 0.2)) == pytest.approx(math.log(5), abs=1e-5)
    assert float(clip_loss(alike, alike, torch.tensor(1.0), 2.0, 0.2)) == pytest.approx(math.log(5) + 0.4, abs=1e-5)
