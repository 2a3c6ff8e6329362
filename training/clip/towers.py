"""What a batch is encoded with."""

from typing import Any

import torch
from torch import Tensor

from imagetext.encoder.clip import unit_rows
from training.precision import mixed_precision


class Towers:
    """A CLIP's two towers as functions from a chunk to unit rows in float32."""

    def __init__(self, model: Any, bfloat16: bool) -> None:
        self.model = model
        self.device: torch.device = model.logit_scale.device
        self.bfloat16 = bfloat16

    def pictures(self, chunk: Tensor) -> Tensor:
        with mixed_precision(self.device.type, self.bfloat16):
            return unit_rows(self.model.get_image_features(pixel_values=chunk.to(self.device)))

    def texts(self, chunk: Tensor) -> Tensor:
        ids, mask = chunk.to(self.device).unbind(1)
        with mixed_precision(self.device.type, self.bfloat16):
            return unit_rows(self.model.get_text_features(input_ids=ids, attention_mask=mask))
