"""Encoders in torch: a picture network, a text network, and their export."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imagetext.engines import Loaded
from imagetext.engines.choice import TORCH
from imagetext.engines.export import Program, run_in_torch
from imagetext.engines.network import example_pictures
from imagetext.models.backbone import Pixels
from imagetext.models.encoder.calibration import Calibration, Labels
from imagetext.models.encoder.engine import PICTURES, TEXTS, Encoder, EncoderFacts
from imagetext.models.encoder.tokenizer import Tokenizer
from imagetext.models.transform import PictureTransform

_USUAL_TEXT = "a brown dog runs across the grass with a ball in its mouth"


SMALL = 10**8  # parameters up to which weights may be in memory twice; larger models are worth int8


class PictureTower(nn.Module):
    """Prepared pictures (n, 3, size, size) in bytes -> the network's outputs for the scaled ones."""

    def __init__(self, transform: PictureTransform, network: nn.Module) -> None:
        super().__init__()
        self.pixels = Pixels(transform)
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, ...]:
        found: Tensor | tuple[Tensor, ...] = self.network(self.pixels(pictures))
        return found


class TwoTowers(Encoder):
    """An encoder that runs in torch."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        pictures: nn.Module,
        texts: nn.Module,
        dimensions: int,
        transform: PictureTransform,
        calibration: Calibration,
        tokenizer: Tokenizer,
        labels: Labels | None = None,
    ) -> None:
        """
        Args:
            pictures: scaled pictures (n, 3, size, size) -> unit rows, and with labels their log
                probabilities.
            texts: the outputs of `tokenizer` -> unit rows.
        """
        parameters = sum(p.numel() for p in {*pictures.parameters(), *texts.parameters()})
        facts = EncoderFacts(name, fingerprint, dimensions, parameters, transform, calibration, labels)
        self.modules = {PICTURES: PictureTower(transform, pictures).eval(), TEXTS: texts.eval()}
        super().__init__(facts, tokenizer, lambda name: Loaded(run_in_torch(self.modules[name]), TORCH))

    def lean_texts(self) -> nn.Module | None:
        """The text network for engines, where it differs from the one in torch."""
        return None

    def programs(self) -> list[Program]:
        """Both networks, with inputs to compare engines on."""
        pictures = torch.from_numpy(example_pictures(self.transform.size))
        words = _USUAL_TEXT.split()
        # All lengths up to the usual one, texts of different lengths together, and single words: int8 is worst there.
        texts = [[" ".join(words[:count])] for count in range(1, len(words))]
        texts += [[_USUAL_TEXT, "a dog", " ".join(words * 2)], words]
        usual, *others = [tuple(map(torch.from_numpy, self.tokens(some))) for some in [[_USUAL_TEXT], *texts]]
        return [
            Program(
                PICTURES,
                self.modules[PICTURES],
                (pictures[:1],),
                ((0,),),
                ((pictures,),),
                int8=self.parameters >= SMALL,
                single=self.parameters < SMALL,
            ),
            Program(
                TEXTS,
                self.modules[TEXTS],
                usual,
                ((0, 1),) * len(usual),
                tuple(others),
                int8=self.parameters >= SMALL,
                lean=self.lean_texts(),
            ),
        ]

    def save_facts(self, folder: Path) -> dict[str, Any]:
        """Write the files that stand beside the networks, and return the facts for model.json."""
        return self.facts.save(folder) | {"tokenizer": self.tokenizer.save(folder)}
