"""A GRU decoder with additive attention over a grid of picture features.

Two GRU layers, as in the attention and language layers of Anderson et al. (2018), section 3.2, but the first is not
fed from the second, so that in training each layer runs over a whole sentence at once, which makes training on two
cores feasible. The attention is that of Bahdanau et al. (2015), with the gate on the context of Xu et al. (2015),
section 4.2.1. Input and output embeddings are tied (Press and Wolf, 2017).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.models.captioner.concepts import Concepts, of_grid
from imagetext.models.captioner.decoder import Memory, State, repeated
from imagetext.models.captioner.vocabulary import PAD


@dataclass(frozen=True)
class DecoderShape:
    """The sizes that make a decoder; written to the model's config."""

    vocabulary: int
    channels: int
    width: int = 512
    attention_width: int = 256
    names: int = 0  # known to its classifier; 0: no classifier
    sayable: int = 0  # words for them


class GruMemory(NamedTuple):
    """What the decoder reads about n pictures.

    `values` (n, places, width), `keys` (n, places, attention_width), `start` (n, width).
    """

    values: Tensor
    keys: Tensor
    start: Tensor


class GruState(NamedTuple):
    """The hidden states of both layers, each (rows, width)."""

    attention: Tensor
    language: Tensor


class SharedDropout(nn.Module):
    """Dropout with one mask for all steps or places of a row (Gal and Ghahramani, 2016).

    A mask for each step took an eighth of the training time.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(n, steps, width) -> the same shape."""
        if not self.training or not self.rate:
            return x
        return x * F.dropout(torch.ones(x.shape[0], 1, x.shape[2], device=x.device), self.rate).to(x.dtype)


class AttentionDecoder(nn.Module):
    """The words so far and a picture's memory -> the next word's context and logits."""

    architecture = "gru-attention"

    def __init__(self, shape: DecoderShape, feature_dropout: float = 0.3, dropout: float = 0.5) -> None:
        super().__init__()
        width = shape.width
        self.shape = shape
        self.words = shape.vocabulary
        self.feature_dropout = SharedDropout(feature_dropout)
        self.dropout = SharedDropout(dropout)
        self.project = nn.Linear(shape.channels, width)
        self.norm = nn.LayerNorm(width)
        self.start = nn.Linear(width, width)
        self.embedding = nn.Embedding(shape.vocabulary, width, padding_idx=PAD)
        self.attention_layer = nn.GRU(width, width, batch_first=True)
        self.keys = nn.Linear(width, shape.attention_width, bias=False)
        self.query = nn.Linear(width, shape.attention_width)
        self.energy = nn.Linear(shape.attention_width, 1, bias=False)
        self.gate = nn.Linear(width, width)
        self.language_layer = nn.GRU(2 * width, width, batch_first=True)
        self.output = nn.Linear(2 * width, width)
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.concepts: Concepts | None = None
        self.memory_tensors = 3
        self.begins: tuple[tuple[int, bool], ...] = ((2, True), (2, True))
        if shape.names:
            self.concepts = Concepts(shape.channels, shape.names, width, shape.vocabulary, shape.sayable)
            self.memory_tensors = 4
            self.begins = (*self.begins, (3, True))

    def remember(self, features: Tensor, logits: Tensor | None = None) -> Memory:
        """Features (n, places, channels) -> the memory that every step attends to; `logits` of the names (n, names)
        replace the classifier's."""
        values = self.norm(F.relu(self.project(self.feature_dropout(features))))
        if self.concepts is None:
            return self._memory(values)
        return self.imagine(self.concepts.logits(features) if logits is None else logits, values)

    def imagine(self, logits: Tensor, grid: Tensor | None = None) -> Memory:
        """Logits of the names (n, names) -> the memory of imagined pictures."""
        assert self.concepts is not None, "it knows no names"
        places = self.concepts.places(logits)
        values = places if grid is None else torch.cat([grid, places], 1)
        return (*self._memory(values), self.concepts.copied(logits))

    def _memory(self, values: Tensor) -> Memory:
        return values, self.keys(values), torch.tanh(self.start(values.mean(1)))

    def forward(self, words: Tensor, memory: GruMemory, state: GruState) -> tuple[Tensor, Tensor, GruState]:
        """One or more steps.

        Args:
            words: (n, steps) token ids.
            memory: of m pictures, n a multiple of m: rows of one picture are adjacent.
            state: for n rows.

        Returns:
            the context (n, steps, width), for `logits`; attention weights (n, steps, places); the final state.
        """
        embedded = self.dropout(self.embedding(words))
        hidden, attention_state = _over_words(self.attention_layer, embedded, state.attention[None])
        weights = self._attend(hidden, memory)
        context = _gather(weights, memory.values) * torch.sigmoid(self.gate(hidden))
        seen = torch.cat([self.dropout(hidden), context], -1)
        spoken, language_state = _over_words(self.language_layer, seen, state.language[None])
        mixed = self.output(self.dropout(torch.cat([spoken, context], -1))) + embedded
        return self.dropout(mixed), weights, GruState(attention_state[0], language_state[0])

    def begin(self, memory: Memory) -> State:
        _, _, start, *copied = memory
        return (start, start, *copied)

    def step(self, words: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        mixed, weights, grown = self(words[:, None], GruMemory(*memory[:3]), GruState(*state[:2]))
        logits = self.logits(mixed[:, 0])
        if self.concepts is None:
            return logits, weights[:, 0], grown
        left = self.concepts.left(state[2], words)
        spoken = self.concepts.spoken(mixed[:, 0], logits, left)
        return spoken, of_grid(weights[:, 0]), (*grown, left)

    def teach(self, words: Tensor, memory: Memory, counted: Tensor) -> Tensor:
        attention, language = repeated(self.begin(memory)[:2], len(words) // len(memory[0]))
        mixed, _, _ = self(words, GruMemory(*memory[:3]), GruState(attention, language))
        logits = self.logits(mixed[counted])
        return logits if self.concepts is None else self.concepts.taught(mixed, logits, memory[3], counted)

    def logits(self, mixed: Tensor) -> Tensor:
        """(..., width) -> (..., vocabulary); apart, so that training can skip the padding."""
        return F.linear(mixed, self.embedding.weight, self.bias)

    def _attend(self, hidden: Tensor, memory: GruMemory) -> Tensor:
        """(n, steps, width) -> weights (n, steps, places); pictures' keys are shared by their rows, never copied."""
        n, steps, _ = hidden.shape
        m, places, _ = memory.keys.shape
        query = self.query(hidden).view(m, n // m * steps, 1, -1)
        energy = self.energy(torch.tanh(query + memory.keys[:, None])).view(n, steps, places)
        weights: Tensor = energy.softmax(-1)
        return weights


def _over_words(layer: nn.GRU, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    if x.is_cuda:
        # Under autocast cuDNN's GRU returns float16 whatever the setting, which does not mix with bfloat16.
        with torch.autocast("cuda", enabled=False):
            x, state = layer(x.float(), state.float())
    else:
        x, state = layer(x, state)
    return x, state


def _gather(weights: Tensor, values: Tensor) -> Tensor:
    n, steps, places = weights.shape
    m = values.shape[0]
    return torch.bmm(weights.reshape(m, n // m * steps, places), values).view(n, steps, -1)
