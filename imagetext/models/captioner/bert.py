"""A BERT decoder: causal, with cross-attention to a picture's features in every layer, and a key-value cache.

The weights live in transformers' `BertLMHeadModel`, so that its folders load; the steps are our own, because
transformers' `generate` repeats the picture's keys and values for every beam and caption.
"""

from typing import Any

import torch
from torch import Tensor, nn

from imagetext.models.captioner.decoder import Memory, State, repeated


class BertDecoder(nn.Module):
    """The decoder of a `BertLMHeadModel` with cross-attention.

    Memory and state hold keys and values of each layer in turn, (rows, heads, places or steps, size).
    """

    def __init__(self, bert: Any) -> None:
        super().__init__()
        self.bert = bert
        self.heads: int = bert.config.num_attention_heads
        self.words: int = bert.config.vocab_size
        self.memory_tensors = 2 * len(self.layers)
        self.begins = tuple((place, False) for place in range(self.memory_tensors))

    @property
    def layers(self) -> Any:
        return self.bert.bert.encoder.layer

    def remember(self, states: Tensor) -> Memory:
        """What the encoder gives, (n, places, width)."""
        attentions = [layer.crossattention.self for layer in self.layers]
        return tuple(self._split(part(states)) for attention in attentions for part in (attention.key, attention.value))

    def begin(self, memory: Memory) -> State:
        return tuple(tensor[:, :, :0] for tensor in memory)

    def step(self, words: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        x, weights, state = self.states(words[:, None], memory, state)
        return self.logits(x[:, 0]), weights[:, 0], state

    def teach(self, words: Tensor, memory: Memory, counted: Tensor) -> Tensor:
        x, _, _ = self.states(words, memory, repeated(self.begin(memory), len(words) // len(memory[0])))
        return self.logits(x[counted])

    def states(self, words: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        """Words (rows, steps) -> the last layer's states (rows, steps, width), attention (rows, steps, places), the
        state."""
        x = self._embedded(words, state[0].shape[2])
        weights, grown = torch.empty(0), []
        for number, layer in enumerate(self.layers):
            keys, values = 2 * number, 2 * number + 1
            x, *cache = self._look_back(layer.attention, x, state[keys], state[values])
            x, weights = self._look_at_picture(layer.crossattention, x, memory[keys], memory[values])
            x = layer.feed_forward_chunk(x)
            grown += cache
        return x, weights, tuple(grown)

    def _embedded(self, words: Tensor, start: int) -> Tensor:
        embeddings = self.bert.bert.embeddings
        positions = torch.arange(start, start + words.shape[1], device=words.device)
        x = embeddings.word_embeddings(words) + embeddings.position_embeddings(positions)
        embedded: Tensor = embeddings.dropout(embeddings.LayerNorm(x + embeddings.token_type_embeddings.weight[0]))
        return embedded

    def _look_back(self, attention: Any, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (self._split(part(x)) for part in _projections(attention))
        keys, values = torch.cat([keys.to(key.dtype), key], -2), torch.cat([values.to(key.dtype), value], -2)
        found = _weights(query, keys, causal=x.shape[1] > 1) @ values
        return attention.output(_joined(found), x), keys, values

    def _look_at_picture(self, attention: Any, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        rows, steps, width = x.shape
        pictures, _, places, _ = keys.shape
        # The rows of one picture are laid end to end, so its keys are not copied for each row.
        query = self._split(attention.self.query(x).view(pictures, -1, width))
        weights = _weights(query, keys, causal=False)
        found = _joined(weights @ values).view(rows, steps, width)
        return attention.output(found, x), weights.float().mean(1).view(rows, steps, places)

    def logits(self, x: Tensor) -> Tensor:
        """States (..., width) -> (..., vocabulary)."""
        logits: Tensor = self.bert.cls(x)
        return logits

    def _split(self, x: Tensor) -> Tensor:
        """(n, steps, width) -> (n, heads, steps, size)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _weights(query: Tensor, keys: Tensor, causal: bool) -> Tensor:
    """Scaled dot-product attention; `causal` for the first words, which must not attend to later ones.

    Written out because torch's fused kernel is far slower for a few words, above all in the backward pass.
    """
    scores = (query @ keys.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    if causal:
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(ahead, -torch.inf)
    weights: Tensor = scores.softmax(-1).to(query.dtype)
    return weights


def _joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _projections(attention: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
    return attention.self.query, attention.self.key, attention.self.value
