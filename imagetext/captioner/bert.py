"""A BERT that writes: causal, with attention to a picture's features in every layer, and a cache of what it wrote.

The weights live in transformers' `BertLMHeadModel`, so that its folders load; the steps are our own, because
transformers' `generate` repeats the picture's keys and values for every beam and caption.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class BertMemory:
    """Keys and values of n pictures, for each layer (n, heads, places, size)."""

    keys: Sequence[Tensor]
    values: Sequence[Tensor]


@dataclass(frozen=True)
class BertState:
    """Keys and values of the words so far: (layers, 2, rows, heads, steps, size)."""

    cache: Tensor

    def select(self, parents: Tensor) -> "BertState":
        return BertState(self.cache.index_select(2, parents))


class BertDecoder(nn.Module):
    """The decoder of a `BertLMHeadModel` with cross-attention."""

    def __init__(self, bert: Any) -> None:
        super().__init__()
        self.bert = bert
        self.heads: int = bert.config.num_attention_heads

    @property
    def layers(self) -> Any:
        return self.bert.bert.encoder.layer

    def remember(self, states: Tensor) -> BertMemory:
        """What the encoder gives, (n, places, width)."""
        attentions = [layer.crossattention.self for layer in self.layers]
        keys = [self._split(attention.key(states)) for attention in attentions]
        return BertMemory(keys, [self._split(attention.value(states)) for attention in attentions])

    def begin(self, memory: BertMemory, rows_each: int) -> BertState:
        pictures, heads, _, size = memory.keys[0].shape
        return BertState(memory.keys[0].new_empty(len(self.layers), 2, pictures * rows_each, heads, 0, size))

    def step(self, words: Tensor, memory: BertMemory, state: BertState) -> tuple[Tensor, Tensor, BertState]:
        x, weights, state = self._run(words[:, None], memory, state)
        return self._logits(x[:, 0]), weights[:, 0], state

    def teach(self, words: Tensor, memory: BertMemory, counted: Tensor) -> Tensor:
        x, _, _ = self._run(words, memory, self.begin(memory, len(words) // len(memory.keys[0])))
        return self._logits(x[counted])

    def _run(self, words: Tensor, memory: BertMemory, state: BertState) -> tuple[Tensor, Tensor, BertState]:
        x = self._embedded(words, state.cache.shape[4])
        weights, caches = torch.empty(0), []
        for number, layer in enumerate(self.layers):
            x, cache = self._look_back(layer.attention, x, state.cache[number])
            x, weights = self._look_at_picture(layer.crossattention, x, memory.keys[number], memory.values[number])
            x = layer.feed_forward_chunk(x)
            caches.append(cache)
        return x, weights, BertState(torch.stack(caches))

    def _embedded(self, words: Tensor, start: int) -> Tensor:
        embeddings = self.bert.bert.embeddings
        positions = torch.arange(start, start + words.shape[1])
        x = embeddings.word_embeddings(words) + embeddings.position_embeddings(positions)
        embedded: Tensor = embeddings.dropout(embeddings.LayerNorm(x + embeddings.token_type_embeddings.weight[0]))
        return embedded

    def _look_back(self, attention: Any, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        query, key, value = (self._split(part(x)) for part in _projections(attention))
        cache = torch.cat([cache.to(key.dtype), torch.stack([key, value])], -2)
        found = _weights(query, cache[0], causal=x.shape[1] > 1) @ cache[1]
        return attention.output(_joined(found), x), cache

    def _look_at_picture(self, attention: Any, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        rows, steps, width = x.shape
        pictures, _, places, _ = keys.shape
        # The rows of one picture are laid end to end: no copy of its keys is made for each of them.
        query = self._split(attention.self.query(x).view(pictures, -1, width))
        weights = _weights(query, keys, causal=False)
        found = _joined(weights @ values).view(rows, steps, width)
        return attention.output(found, x), weights.float().mean(1).view(rows, steps, places)

    def _logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.bert.cls(x)
        return logits

    def _split(self, x: Tensor) -> Tensor:
        """(n, steps, width) -> (n, heads, steps, size)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _weights(query: Tensor, keys: Tensor, causal: bool) -> Tensor:
    """Scaled dot-product attention; `causal` where the words are the first ones and see none after themselves.

    Written out: for a few words torch's fused kernel takes far longer, backwards above all.
    """
    scores = (query @ keys.mT).float() * query.shape[-1] ** -0.5
    if causal:
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(ahead, -torch.inf)
    weights: Tensor = scores.softmax(-1).to(query.dtype)
    return weights


def _joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _projections(attention: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
    return attention.self.query, attention.self.key, attention.self.value
