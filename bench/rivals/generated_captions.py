"""Captioners with a BERT decoder through transformers' own `generate`, on our modules."""

import copy
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.captioner.concepts import Concepts
from imagetext.captioner.full_size import VisionEncoderDecoder
from imagetext.captioner.model import CaptionModel
from imagetext.captioner.vit_bert import VitBert
from imagetext.pixels import Pixels


class GeneratedCaptions:
    """Captions one picture at a time. `exactly` makes every sentence as long as it may get."""

    def __init__(self, captioner: CaptionModel, beams: int, words: int, *, exactly: bool = False) -> None:
        assert isinstance(captioner.decoder, VitBert | VisionEncoderDecoder)
        self.captioner = captioner
        self.decoder = captioner.decoder
        self.pixels = Pixels(captioner.transform)
        bert = captioner.decoder.decoder.bert
        self.copying: _Copying | None = None
        if isinstance(captioner.decoder, VitBert) and captioner.decoder.concepts is not None:
            bert = copy.copy(bert)
            bert._modules = bert._modules | {"cls": (copying := _Copying(bert.cls, captioner.decoder.concepts))}
            self.copying = copying
        self.model = _joined(bert)
        vocabulary = captioner.vocabulary
        self.options: dict[str, Any] = {
            "num_beams": beams,
            "max_new_tokens": words,
            "min_new_tokens": words if exactly else 1,
            "length_penalty": captioner.length_exponent,
            "do_sample": False,
            "decoder_start_token_id": vocabulary.start,
            "bos_token_id": vocabulary.start,
            "eos_token_id": vocabulary.end,
            "pad_token_id": 0,
            "suppress_tokens": list(vocabulary.banned),
        }

    @torch.inference_mode()
    def __call__(self, picture: NDArray[Any]) -> str:
        """A prepared picture (3, size, size) in bytes -> its caption."""
        return self.captioner.vocabulary.decode(self._without_ends(self.tokens(picture)))

    @torch.inference_mode()
    def tokens(self, picture: NDArray[Any]) -> list[int]:
        """The same as token ids, the first one left out."""
        from transformers.modeling_outputs import BaseModelOutput

        states = self._states(self.pixels(torch.from_numpy(picture)[None]))
        found: Tensor = self.model.generate(encoder_outputs=BaseModelOutput(states), **self.options)
        tokens: list[int] = found[0].tolist()[1:]
        return tokens

    def _states(self, scaled: Tensor) -> Tensor:
        """What the decoder looks at, (1, places, width)."""
        features = self.captioner.backbone(scaled)
        if isinstance(self.decoder, VisionEncoderDecoder):
            projected: Tensor = self.decoder.project(features)
            return projected
        x = self.decoder.norm(F.relu(self.decoder.project(features))) + self.decoder.positions_of(features.shape[1])
        concepts = self.decoder.concepts
        if self.copying is not None and concepts is not None:
            logits = concepts.logits(features)
            self.copying.copied = concepts.copied(logits)
            x = torch.cat([x, concepts.places(logits)], 1)
        for layer in self.decoder.encoder:
            x = layer(x)
        states: Tensor = self.decoder.encoder_norm(x)
        return states

    def _without_ends(self, tokens: list[int]) -> list[int]:
        ends = {0, self.captioner.vocabulary.start, self.captioner.vocabulary.end}
        return [token for token in tokens if token not in ends]


class _Copying(nn.Module):
    """A head that may copy the words for what is recognised in the one picture that is captioned; twice, too, since
    `generate` does not tell it what was said."""

    def __init__(self, head: Any, concepts: Concepts) -> None:
        super().__init__()
        self.predictions = head.predictions  # named as transformers ties it to the embeddings
        self.spoken = concepts.spoken  # not the module itself, which transformers would fill with new weights
        self.copied = torch.empty(0)

    def forward(self, states: Tensor) -> Tensor:
        rows, steps, _ = states.shape
        return self.spoken(states, self.predictions(states), self.copied.expand(rows, steps, -1))


def _joined(bert: Any) -> Any:
    """With a model of both halves `generate` keeps the picture's keys and values; the encoder only stands for one."""
    from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig, ViTModel

    width = bert.config.hidden_size
    vit = ViTConfig(hidden_size=width, num_hidden_layers=0, num_attention_heads=1, intermediate_size=1)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vit, bert.config)
    return VisionEncoderDecoderModel(config, encoder=ViTModel(vit, add_pooling_layer=False), decoder=bert).eval()
