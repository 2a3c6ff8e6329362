"""Crops, mirrors and colours of whole batches."""

import torch

from training.clip.scratch import augmented


def test_nothing_asked_for_gives_the_picture_itself() -> None:
    """Whole, unmirrored and without jitter the bytes come back in [0, 1]."""
    pictures = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    torch.manual_seed(0)

    found = augmented(pictures, 16, torch.zeros(3, dtype=torch.bool), 1.0, 0.0)

    # A whole picture still changes its shape a little.
    assert found.shape == (3, 3, 16, 16)
    assert float((found - pictures / 255).abs().mean()) < 0.12


def test_only_those_that_may_are_mirrored() -> None:
    """A picture that is dark left and bright right shows it."""
    ramp = torch.linspace(0, 255, 32).to(torch.uint8).expand(200, 3, 32, 32)
    may = torch.arange(200) % 2 == 0

    found = augmented(ramp, 16, may, 0.5, 0.0)

    falls = found[..., 0].mean((1, 2)) > found[..., -1].mean((1, 2))
    assert not falls[~may].any()
    assert 25 < int(falls[may].sum()) < 75


def test_jitter_stays_in_range_and_changes_every_picture() -> None:
    """Colours differ between equal pictures and never leave [0, 1]."""
    pictures = torch.full((8, 3, 16, 16), 200, dtype=torch.uint8)

    found = augmented(pictures, 16, torch.zeros(8, dtype=torch.bool), 0.9, 0.4)

    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert len(set(found.mean((1, 2, 3)).tolist())) == 8
