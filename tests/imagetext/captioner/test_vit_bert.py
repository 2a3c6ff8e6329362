"""The compact ViT-BERT on grids of other sizes than it was trained with."""

import torch

from imagetext.models.captioner.vit_bert import VitBert, VitBertShape


def network() -> VitBert:
    torch.manual_seed(0)
    shape = VitBertShape(vocabulary=20, channels=8, places=9, width=24, heads=2, encoder_layers=1, decoder_layers=1)
    made = VitBert(shape).eval()
    torch.nn.init.normal_(made.positions)
    return made


def test_a_larger_picture_is_seen_at_more_places() -> None:
    """The memory has a row for each place of its grid."""
    memory = network().remember(torch.randn(2, 25, 8))
    assert {tensor.shape[-2] for tensor in memory} == {25}


def test_positions_are_spread_over_the_larger_grid() -> None:
    """A picture of one colour, whose positions rise from left to right, still has them rise so on the larger grid."""
    made = network()
    rising = torch.arange(3.0).repeat(3)[:, None].expand(9, 24)
    made.positions = torch.nn.Parameter(rising.clone())
    spread = made.positions_of(25)[:, 0].view(5, 5)
    assert torch.allclose(spread, spread[:1].expand(5, 5), atol=1e-5)
    assert (spread.diff(dim=1) > 0).all()


def test_a_grid_of_the_trained_size_has_the_learned_positions() -> None:
    """Nothing is spread where nothing has to be."""
    made = network()
    assert made.positions_of(9) is made.positions
