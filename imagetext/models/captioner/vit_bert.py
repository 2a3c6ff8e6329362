"""The compact ViT-BERT captioner: a small ViT over the places of a convolutional grid, and a small BERT decoder.

The encoder is the hybrid of Dosovitskiy et al. (2021), section 3.1; the decoder begins as some of the layers of MiniLM,
with new cross-attention, after Rothe et al. (2020).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertLMHeadModel, ViTConfig, ViTModel

from imagetext.models.captioner.bert import BertDecoder
from imagetext.models.captioner.concepts import Concepts, of_grid
from imagetext.models.captioner.decoder import Memory, State, repeated
from imagetext.models.captioner.gru import SharedDropout


@dataclass(frozen=True)
class VitBertShape:
    """The sizes that make a network; written to the model's config.

    `places` is the grid size in training; it and the size of any input grid must be squares.
    """

    vocabulary: int
    channels: int
    places: int = 49
    width: int = 384
    heads: int = 12
    encoder_layers: int = 2
    decoder_layers: int = 4
    max_words: int = 64
    names: int = 0  # known to its classifier; 0: no classifier
    sayable: int = 0  # words for them


class VitBert(nn.Module):
    """A picture's grid of features -> words."""

    architecture = "vit-bert"

    def __init__(self, shape: VitBertShape, feature_dropout: float = 0.3, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        self.feature_dropout = SharedDropout(feature_dropout)
        self.project = nn.Linear(shape.channels, shape.width)
        self.norm = nn.LayerNorm(shape.width)
        self.positions = nn.Parameter(torch.zeros(shape.places, shape.width))
        vit = ViTModel(_vit_config(shape, dropout), add_pooling_layer=False)
        self.encoder = vit.layers
        self.encoder_norm = vit.layernorm
        self.decoder = BertDecoder(BertLMHeadModel(_bert_config(shape, dropout)))
        self.words, self.memory_tensors = self.decoder.words, self.decoder.memory_tensors
        self.begins = self.decoder.begins
        self.concepts: Concepts | None = None
        if shape.names:
            self.concepts = Concepts(shape.channels, shape.names, shape.width, shape.vocabulary, shape.sayable)
            self.begins = (*self.begins, (self.memory_tensors, True))
            self.memory_tensors += 1

    def remember(self, features: Tensor, logits: Tensor | None = None) -> Memory:
        """`logits` of the names (n, names) replace the classifier's."""
        x = self.norm(F.relu(self.project(self.feature_dropout(features)))) + self.positions_of(features.shape[1])
        if self.concepts is None:
            return self._encoded(x)
        return self.imagine(self.concepts.logits(features) if logits is None else logits, x)

    def imagine(self, logits: Tensor, grid: Tensor | None = None) -> Memory:
        """Logits of the names (n, names) -> the memory of imagined pictures."""
        assert self.concepts is not None, "it knows no names"
        places = self.concepts.places(logits)
        x = places if grid is None else torch.cat([grid, places], 1)
        return (*self._encoded(x), self.concepts.copied(logits))

    def _encoded(self, x: Tensor) -> Memory:
        for layer in self.encoder:
            x = layer(x)
        return self.decoder.remember(self.encoder_norm(x))

    def positions_of(self, places: int) -> Tensor:
        """One row for each place; for a larger grid the learned rows are interpolated bicubically
        (Dosovitskiy et al., 2021, section 3.2)."""
        if places == self.shape.places:
            return self.positions
        learned, wanted = math.isqrt(self.shape.places), math.isqrt(places)
        square = self.positions.T.reshape(1, -1, learned, learned)
        spread = F.interpolate(square, size=(wanted, wanted), mode="bicubic", align_corners=False)
        return spread[0].flatten(1).T

    def begin(self, memory: Memory) -> State:
        own = self.decoder.memory_tensors
        return (*self.decoder.begin(memory[:own]), *memory[own:])

    def step(self, words: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        if self.concepts is None:
            return self.decoder.step(words, memory, state)
        left = self.concepts.left(state[-1], words)
        x, weights, grown = self.decoder.states(words[:, None], memory[:-1], state[:-1])
        spoken = self.concepts.spoken(x[:, 0], self.decoder.logits(x[:, 0]), left)
        return spoken, of_grid(weights[:, 0]), (*grown, left)

    def teach(self, words: Tensor, memory: Memory, counted: Tensor) -> Tensor:
        if self.concepts is None:
            return self.decoder.teach(words, memory, counted)
        state = repeated(self.begin(memory), len(words) // len(memory[0]))
        x, _, _ = self.decoder.states(words, memory[:-1], state[:-1])
        return self.concepts.taught(x, self.decoder.logits(x[counted]), memory[-1], counted)


def _vit_config(shape: VitBertShape, dropout: float) -> ViTConfig:
    return ViTConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.encoder_layers,
        num_attention_heads=shape.heads,
        intermediate_size=2 * shape.width,
        hidden_dropout_prob=dropout,
        attn_implementation="eager",  # torch's fused kernel is slow for 49 places
    )


def _bert_config(shape: VitBertShape, dropout: float) -> BertConfig:
    return BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.decoder_layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        hidden_dropout_prob=dropout,
        max_position_embeddings=shape.max_words,
        is_decoder=True,
        add_cross_attention=True,
        pad_token_id=0,
    )
