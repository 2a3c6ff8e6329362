"""A folder of a CLIP from scratch, small and with random weights."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from imagetext.models.encoder.calibration import Calibration
from imagetext.models.encoder.scratch import ARCHITECTURE, ScratchClip, ScratchShape
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import changed_tensors, write_model_folder

WORDS = ("red", "blue", "dog")


def save_tiny_scratch(folder: Path, words: Sequence[str] = WORDS) -> ScratchClip:
    torch.manual_seed(0)
    network = ScratchClip(ScratchShape(len(WORDS) + 4, (8, 16), (1, 1), 16, 2, 6, 12))
    config = {
        "architecture": ARCHITECTURE,
        "name": "tiny",
        "shape": network.shape.to_config(),
        "transform": PictureTransform(size=32).to_config(),
        "calibration": asdict(Calibration(10.0, -3.0)),
    }
    files = {"vocabulary.txt": "\n".join(words) + "\n"}
    write_model_folder(folder, config, changed_tensors("network", network), "", files)
    return network.eval()
