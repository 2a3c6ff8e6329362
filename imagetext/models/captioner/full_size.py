"""Full-size captioners: transformers' VisionEncoderDecoderModel with a ViT encoder and a BERT decoder.

Such folders often lack parts that generation needs; they are filled in as the original project used them:
`shirsh10mall/Image_Captioning_FineTune_ViT_BERT_GCC` has neither tokenizer nor preprocessor, and its generation file
names no first and last token. Its pictures are squashed to 224 x 224 in [0, 1], its tokens are bert-base-uncased's.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoTokenizer, VisionEncoderDecoderModel

from imagetext.models.backbone import backbone_transform
from imagetext.models.captioner.bert import BertDecoder
from imagetext.models.captioner.decoder import Memory, State
from imagetext.models.captioner.vocabulary import WordPieces
from imagetext.models.encoder.minilm import load_minilm
from imagetext.models.transform import PictureTransform
from imagetext.wire.errors import ModelError

PLAIN = PictureTransform(224, "squash", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class VisionEncoder(nn.Module):
    """Scaled RGB pictures -> the states of their patches (n, 1 + patches, width), the class token first."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: Tensor) -> Tensor:
        states: Tensor = self.encoder(pixel_values=pictures).last_hidden_state
        return states


class VisionEncoderDecoder(nn.Module):
    """The decoder of such a model, with the projection that some have between encoder and decoder."""

    architecture = "vision-encoder-decoder"

    def __init__(self, model: VisionEncoderDecoderModel) -> None:
        super().__init__()
        self.project = getattr(model, "enc_to_dec_proj", nn.Identity())
        self.decoder = BertDecoder(model.decoder)
        self.words, self.memory_tensors = self.decoder.words, self.decoder.memory_tensors
        self.begins = self.decoder.begins

    def remember(self, features: Tensor) -> Memory:
        return self.decoder.remember(self.project(features))

    def begin(self, memory: Memory) -> State:
        return self.decoder.begin(memory)

    def step(self, words: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        logits, weights, state = self.decoder.step(words, memory, state)
        # The class token stands for no place in the picture.
        places = weights[:, 1:]
        return logits, places / places.sum(1, keepdim=True), state

    def teach(self, words: Tensor, memory: Memory, counted: Tensor) -> Tensor:
        return self.decoder.teach(words, memory, counted)


def load_full_size(source: str | Path) -> tuple[VisionEncoder, VisionEncoderDecoder, WordPieces, PictureTransform]:
    """The parts of a captioner, from a folder or hub id.

    Raises:
        ModelError: no such model is there, or its decoder is not a BERT with cross-attention.
    """
    try:
        model, loaded = VisionEncoderDecoderModel.from_pretrained(source, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{source} holds no loadable vision-encoder-decoder model.") from error
    if loaded["missing_keys"]:
        raise ModelError(f"{source} lacks {len(loaded['missing_keys'])} tensors of a vision-encoder-decoder model.")
    model.eval()
    if model.config.decoder.model_type != "bert" or not model.config.decoder.add_cross_attention:
        raise ModelError(f"The decoder in {source} is not a BERT with cross-attention.")
    return (
        VisionEncoder(model.encoder),
        VisionEncoderDecoder(model),
        _vocabulary(source, model),
        _transform(source, model),
    )


def _vocabulary(source: str | Path, model: Any) -> WordPieces:
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError):
        # MiniLM's package carries the vocabulary of bert-base-uncased.
        tokenizer = load_minilm()[1]
    if len(tokenizer) > model.config.decoder.vocab_size:
        raise ModelError(f"{source} has no tokenizer, and its vocabulary is not that of bert-base-uncased.")
    configs = (model.generation_config, model.config, model.config.decoder)
    start = _first(configs, "decoder_start_token_id", tokenizer.cls_token_id)
    end = _first(configs, "eos_token_id", tokenizer.sep_token_id)
    return WordPieces(tokenizer.backend_tokenizer, start, end, tokenizer.all_special_ids)


def _first(configs: Iterable[Any], name: str, otherwise: int) -> int:
    found = (getattr(config, name, None) for config in configs)
    return next((int(value) for value in found if isinstance(value, int)), otherwise)


def _transform(source: str | Path, model: Any) -> PictureTransform:
    try:
        return backbone_transform(source)
    except ModelError:
        size = int(getattr(model.config.encoder, "image_size", PLAIN.size))
        return PictureTransform(size, PLAIN.fit, PLAIN.mean, PLAIN.std)
