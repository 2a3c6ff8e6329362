"""What is trained of a captioner."""

import torch
from torch import Tensor, nn

from imagetext.backbone import Backbone
from imagetext.captioner.decoder import Decoder
from imagetext.captioner.network import AttentionDecoder
from imagetext.captioner.vit_bert import VitBert
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
