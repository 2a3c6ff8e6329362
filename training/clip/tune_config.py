"""The settings of a fine-tuning run."""

from dataclasses import dataclass
from pathlib import Path

CONFIG = Path(__file__).with_name("tune.toml")


@dataclass(frozen=True)
class TuneConfig:
    """The keys of tune.toml, explained there."""

    seed: int = 1
    epochs: int = 10
    batch: int = 512
    chunk: int = 32
    captions: int = 2
    max_tokens: int = 77
    picture_layers: int = -1
    text_layers: int = -1
    picture_learning_rate: float = 1e-5
    text_learning_rate: float = 1e-5
    weight_decay: float = 0.1
    average: float = 0.99
    smallest_crop: float = 0.8
    mirror: bool = True
    hardest: float = 0.0
    margin: float = 0.2
    blend: float = 0.0
    patience: int = 3
    dev_pictures: int = 1000
    bfloat16: bool = True
