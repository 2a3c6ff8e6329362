"""The model folders that training writes: a compact captioner, and a dual encoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from imagetext.models.backbone import load_backbone
from imagetext.models.captioner.vocabulary import Vocabulary
from imagetext.models.encoder.minilm import load_minilm
from imagetext.models.weights import changed_tensors, write_model_folder


def write_captioner(
    folder: Path, config: Mapping[str, Any], decoder: nn.Module, backbone: nn.Module, vocabulary: Vocabulary, card: str
) -> None:
    """The decoder, and what differs in the picture network from `config["backbone"]`."""
    packaged = load_backbone(config["backbone"]).state_dict()
    tensors = changed_tensors("decoder", decoder) | changed_tensors("backbone", backbone, packaged)
    write_model_folder(folder, dict(config), tensors, card, {"vocabulary.txt": "\n".join(vocabulary.words) + "\n"})


def write_encoder(
    folder: Path,
    config: Mapping[str, Any],
    heads: Mapping[str, nn.Module],
    backbone: nn.Module,
    bert: nn.Module,
    card: str,
) -> None:
    """The heads by name, and what differs in the towers from `config["backbone"]` and MiniLM."""
    tensors = changed_tensors("backbone", backbone, load_backbone(config["backbone"]).state_dict())
    tensors |= changed_tensors("bert", bert, load_minilm()[0].state_dict())
    for name, head in heads.items():
        tensors |= changed_tensors(name, head)
    write_model_folder(folder, dict(config), tensors, card)
