"""The contrastive loss, what of the towers is tuned, and the drawing of pairs."""

import numpy as np
import pytest
import torch

from imagetext.models.backbone import EFFICIENTNET_LITE0, load_backbone
from imagetext.models.encoder.minilm import Head, HeadShape, load_minilm
from training.contrastive import info_nce
from training.features import Features
from training.pairs import PairSet
from training.retrieval import Heads, Towers

CAPTIONS = 3


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairSet:
    """Four pictures in four views, each with three captions, the first of which speaks of a side."""
    random = np.random.default_rng(0)
    maps = random.normal(size=(4, 4, 7, 7, 192)).astype(np.float16)
    sided = torch.tensor([[True, False, False]]).repeat(4, 1)
    tokens = torch.randint(1000, 2000, (4, CAPTIONS, 6))
    features = Features(maps, (False, True, False, True), tmp_path_factory.mktemp("features") / "none.npy")
    return PairSet(features, torch.randn(4, 4, 1280), tokens, torch.randn(4, CAPTIONS, 384), sided)


@pytest.fixture(scope="module")
def towers() -> Towers:
    torch.manual_seed(0)
    heads = Heads(Head(HeadShape(1280, 16, 8)), Head(HeadShape(384, 16, 8)))
    return Towers(heads, load_backbone(EFFICIENTNET_LITE0), load_minilm()[0], text_layers=2)


def test_loss_is_the_mean_over_captions_and_both_directions() -> None:
    """By hand: the negative log of the softmax at the own picture, and at the own text among the same captions."""
    logits = torch.randn(CAPTIONS, 4, 4, dtype=torch.float64)
    by_hand = []
    for caption in logits.numpy():
        for way in (caption, caption.T):
            by_hand += [-np.log(np.exp(row[i]) / np.exp(row).sum()) for i, row in enumerate(way)]

    assert float(info_nce(logits)) == pytest.approx(np.mean(by_hand), abs=1e-9)


def test_no_mirrored_view_is_drawn_with_a_caption_that_names_a_side(pairs: PairSet) -> None:
    """Left is left: such a caption comes with the whole or a cropped picture, and others with every view."""
    torch.manual_seed(0)
    rows = torch.arange(4).repeat(100)

    drawn = pairs.draw(rows, 1)

    mirrored = torch.tensor(pairs.features.mirrored)[drawn.views]
    names_a_side = drawn.captions[:, 0] == 0
    assert not (mirrored & names_a_side).any()
    assert (mirrored & ~names_a_side).any()


def test_captions_drawn_together_are_different(pairs: PairSet) -> None:
    """Two captions of one picture are never the same one twice."""
    drawn = pairs.draw(torch.arange(4).repeat(50), 2)

    assert (drawn.captions[:, 0] != drawn.captions[:, 1]).all()


def test_only_the_upper_layers_change(pairs: PairSet, towers: Towers) -> None:
    """A step reaches the heads, the top of the picture network and the last layers of MiniLM, and nothing below."""
    towers.train()

    info_nce(towers(pairs, pairs.draw(torch.arange(4), 2))).backward()

    reached = {name for name, p in towers.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any(name.startswith("heads.picture") for name in reached)
    assert any(name.startswith("backbone.top") for name in reached)
    assert not any(name.startswith("backbone.trunk") for name in reached)
    assert {name.split(".")[3] for name in reached if name.startswith("bert.")} == {"4", "5"}
    assert not any("depthwise.conv" in name for name in reached)


def test_statistics_of_batch_normalisation_stay(pairs: PairSet, towers: Towers) -> None:
    """Training leaves the running means as ImageNet made them."""
    before = {name: tensor.clone() for name, tensor in towers.named_buffers()}
    towers.train()

    towers(pairs, pairs.draw(torch.arange(4), 1))

    assert all(torch.equal(tensor, before[name]) for name, tensor in towers.named_buffers())
