"""What training commands share: their options, how they report an error, and the model folders they write."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from imagetext.models.backbone import load_backbone
from imagetext.models.captioner.vocabulary import Vocabulary
from imagetext.models.encoder.minilm import load_minilm
from imagetext.models.weights import changed_tensors, write_model_folder
from imagetext.wire.errors import ImageTextError

FOLDERS = {
    "photos": "a folder in the layout of Flickr8k",
    "drawn": "drawn scenes in the same layout",
    "open": "pictures and captions from beyond Flickr8k",
    "out": "the model folder to write",
}


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


def command_parser(command: str, about: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m training.COMMAND`, described by the first line of its module's docstring."""
    return argparse.ArgumentParser(prog=f"python -m training.{command}", description=(about or "").splitlines()[0])


def add_folders(parser: argparse.ArgumentParser, *required: str, optional: Sequence[str] = ()) -> None:
    """Options for some of `FOLDERS`."""
    for name in (*required, *optional):
        parser.add_argument(f"--{name}", type=Path, required=name in required, help=FOLDERS[name])


def add_run(
    parser: argparse.ArgumentParser,
    config: Path,
    work: str | None,
    cache: str = ".cache/features",
    shown: str | None = None,
) -> None:
    """Options of a training run: its settings, and where it keeps features, checkpoints and the log.

    `shown` describes the default of --work if it depends on other options.
    """
    parser.add_argument("--config", type=Path, default=config, help=f"settings (default {config.name})")
    parser.add_argument("--cache", type=Path, default=Path(cache), help=f"folder for features (default {cache})")
    parser.add_argument(
        "--work", type=Path, default=Path(work) if work else None, help=f"checkpoints and log (default {shown or work})"
    )


def exit_status(run: Callable[[], None]) -> int:
    """0, or 1 with a sentence on standard error if the run fails."""
    try:
        run()
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    return 0
