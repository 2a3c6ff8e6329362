"""A captioner in torch, for training, comparison and export."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imagetext.engines import Loaded
from imagetext.engines.choice import TORCH
from imagetext.engines.export import Program, run_in_torch
from imagetext.models.backbone import Backbone, load_backbone
from imagetext.models.captioner.decoder import DecoderStep, PictureEncoder, programs
from imagetext.models.captioner.engine import (
    ENCODER,
    STEP,
    Captioner,
    CaptionerFacts,
    Confidence,
    DecodedCaption,
    DecodingOptions,
)
from imagetext.models.captioner.full_size import VisionEncoder, VisionEncoderDecoder, load_full_size
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.vit_bert import VitBert, VitBertShape
from imagetext.models.captioner.vocabulary import Vocabulary, Words
from imagetext.models.folder import CONFIG, ModelFolder, require_source
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import load_weights, weights_fingerprint
from imagetext.wire.errors import ModelError

FULL_SIZE_LENGTH_EXPONENT = 1.0  # the default of `generate`


class CaptionModel(Captioner):
    """A captioner that runs in torch."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        backbone: Backbone | VisionEncoder,
        decoder: AttentionDecoder | VitBert | VisionEncoderDecoder,
        vocabulary: Words,
        transform: PictureTransform,
        length_exponent: float,
        confidence: Confidence | None = None,
    ) -> None:
        self.backbone = backbone.eval()
        self.decoder = decoder.eval()
        parameters = sum(p.numel() for part in (backbone, decoder) for p in part.parameters())
        facts = CaptionerFacts(name, fingerprint, parameters, transform, length_exponent, decoder.begins, confidence)
        self._encoder = PictureEncoder(transform, self.backbone, self.decoder).eval()
        self._step = DecoderStep(
            self.decoder, self.decoder.memory_tensors, self.decoder.words, vocabulary.banned
        ).eval()
        modules = {ENCODER: self._encoder, STEP: self._step}
        super().__init__(facts, vocabulary, lambda name: Loaded(run_in_torch(modules[name]), TORCH))

    @torch.inference_mode()
    def caption_features(self, features: Tensor, options: DecodingOptions) -> list[list[DecodedCaption]]:
        """As `caption`, from the backbone's features (n, places, channels)."""
        return self._search([tensor.numpy() for tensor in self.decoder.remember(features)], options)

    def programs(self) -> Sequence[Program]:
        """Both networks, with inputs to compare engines on."""
        return programs(self._encoder, self._step, self.transform.size)

    def save_facts(self, folder: Path) -> dict[str, Any]:
        """Write the files that stand beside the networks, and return the facts for model.json."""
        return self.facts.to_config() | {"vocabulary": self.vocabulary.save(folder)}


def load_in_torch(source: str | Path) -> CaptionModel:
    """As `load_captioner`, in torch."""
    require_source(source)
    path = Path(source)
    if path.is_dir() and not _is_transformers(path):
        return _compact(ModelFolder.open(path))
    return _full_size(source)


def _is_transformers(path: Path) -> bool:
    """Whether transformers wrote the folder: its config then names the model type."""
    try:
        return "model_type" in json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _compact(folder: ModelFolder) -> CaptionModel:
    config = folder.config
    vocabulary = Vocabulary.read(folder.file("vocabulary.txt"))
    try:
        backbone, decoder = load_backbone(config["backbone"]), _decoder(config)
    except (KeyError, TypeError) as error:
        raise ModelError(f"The config in {folder.path} is not that of a captioner of this project.") from error
    if len(vocabulary) != decoder.shape.vocabulary:
        raise ModelError(f"{folder.path} has {len(vocabulary)} words for a model of {decoder.shape.vocabulary}.")
    load_weights(folder, {"decoder": decoder, "backbone": backbone})
    return CaptionModel(
        config["name"],
        folder.fingerprint,
        backbone,
        decoder,
        vocabulary,
        PictureTransform.from_config(config["transform"]),
        config["length_exponent"],
        Confidence(**config["confidence"]) if "confidence" in config else None,
    )


def _decoder(config: dict[str, Any]) -> AttentionDecoder | VitBert:
    match config.get("architecture"):
        case AttentionDecoder.architecture:
            return AttentionDecoder(DecoderShape(**config["decoder"]))
        case VitBert.architecture:
            return VitBert(VitBertShape(**config["decoder"]))
    raise ModelError(f"{config.get('name', 'The folder')} is not a captioner that can be loaded.")


def _full_size(source: str | Path) -> CaptionModel:
    encoder, decoder, vocabulary, transform = load_full_size(source)
    fingerprint = weights_fingerprint([encoder, decoder], transform)
    name = Path(str(source)).name
    return CaptionModel(name, fingerprint, encoder, decoder, vocabulary, transform, FULL_SIZE_LENGTH_EXPONENT)
