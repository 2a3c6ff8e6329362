"""A picture network in integers that several tests share: it is fitted and exported once.

torch is imported where it is needed: the tests of pictures and of the index do without it, and start in a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from imagetext.engines import Network
    from imagetext.models.backbone import Backbone

SIZE = 96


def coarse_pictures(number: int, seed: int) -> Tensor:
    """Scaled bytes (number, 3, 96, 96), coarse enough for every channel to see something."""
    import torch
    from torch.nn.functional import interpolate

    random = torch.Generator().manual_seed(seed)
    coarse = interpolate(torch.rand(number, 3, 12, 12, generator=random), (SIZE, SIZE), mode="bilinear")
    return ((coarse * 255).round() - 127) / 128


@pytest.fixture(scope="session")
def pictures() -> Callable[[int, int], Tensor]:
    """pictures(number, seed) -> scaled pictures."""
    return coarse_pictures


@pytest.fixture(scope="session")
def integers() -> Backbone:
    """EfficientNet-Lite0 in integers."""
    from imagetext.models.backbone import EFFICIENTNET_LITE0, load_backbone
    from training.quantize import quantized

    return quantized(load_backbone(EFFICIENTNET_LITE0), coarse_pictures(8, seed=0))


@pytest.fixture(scope="session")
def exported_integers(integers: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The same as engines take it."""
    from imagetext.engines.export import Program, export

    folder = tmp_path_factory.mktemp("exported") / "integers-1"
    folder.mkdir()
    return export(Program("integers", integers, (coarse_pictures(2, seed=1),), ((0,),)), folder)
