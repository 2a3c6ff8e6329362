"""What is trained of a captioner.

The captioners that can be trained, each with the settings of its own.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imagetext.models.backbone import Backbone
from imagetext.models.captioner.decoder import Decoder
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.vit_bert import VitBert, VitBertShape
from imagetext.models.captioner.vocabulary import SPECIAL, Vocabulary
from imagetext.models.encoder.minilm import load_minilm
from training.tuning import tune_top


class CaptionNetwork(nn.Module):
    """The decoder with what is tuned under it, the picture network's top if `tuned`."""

    def __init__(self, backbone: Backbone, decoder: AttentionDecoder | VitBert, tuned: bool = True) -> None:
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder
        if tuned:
            tune_top(backbone)
        else:
            backbone.requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def train(self, mode: bool = True) -> "CaptionNetwork":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, maps: Tensor, words: Tensor, counted: Tensor) -> Tensor:
        """The trunk's maps of n pictures, and as `Decoder.teach` -> logits (steps counted, vocabulary) in float32."""
        decoder: Decoder = self.decoder
        return decoder.teach(words, decoder.remember(self.backbone.grid(maps)), counted).float()


@dataclass(frozen=True)
class CaptionerConfig(ABC):
    """The keys that every captioner's TOML file may have, explained in captioner.toml."""

    seed: int = 1
    backbone: str = "efficientnet-lite0"
    picture_from: str = ""
    start: str = ""
    teacher: str = ""
    taught: float = 0.0
    min_count: int = 5
    max_words: int = 20
    views: int = 6
    drawn: int = 1000
    epochs: int = 10
    batch: int = 50
    captions: int = 5
    learning_rate: float = 1e-3
    picture_learning_rate: float = 1e-4
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    feature_dropout: float = 0.3
    dropout: float = 0.5
    average: float = 0.998
    reward_epochs: int = 4
    reward_learning_rate: float = 5e-5
    reward_rise: float = 0.0
    samples: int = 5
    blend: float = 0.4
    beams: int = 3
    length_exponent: float = 0.9
    served_size: int = 0

    @abstractmethod
    def decoder(self, vocabulary: Vocabulary, backbone: Backbone) -> AttentionDecoder | VitBert:
        """A new decoder, as it is before training."""


@dataclass(frozen=True)
class GruConfig(CaptionerConfig):
    """captioner.toml"""

    width: int = 512
    attention_width: int = 256

    def decoder(self, vocabulary: Vocabulary, backbone: Backbone) -> AttentionDecoder:
        shape = DecoderShape(len(vocabulary), backbone.channels, self.width, self.attention_width)
        return AttentionDecoder(shape, self.feature_dropout, self.dropout)


@dataclass(frozen=True)
class VitBertConfig(CaptionerConfig):
    """vit_bert.toml; the width is MiniLM's"""

    picture_from: str = ".cache/models/caption-gru"
    teacher: str = ".cache/models/caption-gru"
    taught: float = 0.7
    captions: int = 3
    learning_rate: float = 4e-4
    picture_learning_rate: float = 0.0
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    dropout: float = 0.15
    average: float = 0.996
    reward_learning_rate: float = 2e-5
    reward_rise: float = 0.05
    places: int = 49
    encoder_layers: int = 2
    decoder_layers: int = 2
    served_size: int = 256

    def decoder(self, vocabulary: Vocabulary, backbone: Backbone) -> VitBert:
        minilm, tokenizer = load_minilm()
        shape = VitBertShape(
            len(vocabulary),
            backbone.channels,
            self.places,
            minilm.config.hidden_size,
            minilm.config.num_attention_heads,
            self.encoder_layers,
            self.decoder_layers,
        )
        network = VitBert(shape, self.feature_dropout, self.dropout)
        start_from_minilm(network, vocabulary, minilm, tokenizer)
        return network


@torch.no_grad()
def start_from_minilm(network: VitBert, vocabulary: Vocabulary, minilm: Any, tokenizer: Any) -> None:
    """Take over MiniLM's embeddings and layers, spread evenly over its depth; cross-attention stays new."""
    bert = network.decoder.bert.bert
    depth, layers = len(minilm.encoder.layer), bert.encoder.layer
    for number, layer in enumerate(layers):
        taken = round(number * (depth - 1) / max(1, len(layers) - 1))
        layer.load_state_dict(minilm.encoder.layer[taken].state_dict(), strict=False)
    theirs, mine = minilm.embeddings, bert.embeddings
    mine.position_embeddings.weight.copy_(theirs.position_embeddings.weight[: network.shape.max_words])
    mine.token_type_embeddings.weight.copy_(theirs.token_type_embeddings.weight)
    mine.LayerNorm.load_state_dict(theirs.LayerNorm.state_dict())
    # A word's vector is the mean of its pieces'; the special tokens in the order of `SPECIAL`.
    names = [tokenizer.pad_token, tokenizer.cls_token, tokenizer.sep_token, tokenizer.unk_token]
    assert len(names) == len(SPECIAL)
    pieces = [tokenizer.tokenize(word) for word in vocabulary.words]
    rows = [tokenizer.convert_tokens_to_ids(found) for found in [*([name] for name in names), *pieces]]
    mine.word_embeddings.weight.copy_(torch.stack([theirs.word_embeddings.weight[row].mean(0) for row in rows]))


ARCHITECTURES: dict[str, tuple[type[CaptionerConfig], Path]] = {
    AttentionDecoder.architecture: (GruConfig, Path(__file__).with_name("captioner.toml")),
    VitBert.architecture: (VitBertConfig, Path(__file__).with_name("vit_bert.toml")),
}
