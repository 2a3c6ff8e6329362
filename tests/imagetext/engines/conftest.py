"""A network that tests of engines share, exported once."""

import pytest
import torch
from torch import nn

from imagetext.engines import Network
from imagetext.engines.export import Program, export


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """One layer, (n, 4) -> (n, 2)."""
    folder = tmp_path_factory.mktemp("exported") / "line-1"
    folder.mkdir()
    torch.manual_seed(0)
    return export(Program("line", nn.Linear(4, 2).eval(), (torch.randn(1, 4),), ((0,),)), folder)
