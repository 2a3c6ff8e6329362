"""Scores of models on the dev split."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.models.backbone import Backbone
from imagetext.models.captioner.engine import DecodingOptions
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vocabulary import words_of
from training.captions import CaptionSet
from training.metrics import caption_scores
from training.processes import mixed_precision
from training.ranking import rank

BATCH = 50


def score_captioner(captioner: CaptionModel, part: CaptionSet, beams: int) -> dict[str, float]:
    """BLEU-1..4, ROUGE-L and CIDEr-D of the best caption of each picture."""
    backbone = captioner.backbone
    assert isinstance(backbone, Backbone), "only these have features that can be kept"
    options = DecodingOptions(num_beams=beams)
    captions: list[str] = []
    for rows in tqdm(torch.split(torch.arange(len(part.pictures)), BATCH), desc="dev", unit="batch"):
        with mixed_precision(), torch.inference_mode():
            grid = backbone.grid(part.whole(rows)).float()
        captions += [found[0].text for found in captioner.caption_features(grid, options)]
    references = [[words_of(c) for c in picture.captions] for picture in part.pictures]
    scores = caption_scores([words_of(c) for c in captions], references)
    return {name: round(score, 4) for name, score in scores.items()}


def retrieval_scores(
    texts: NDArray[np.float32], pictures: NDArray[np.float32], owner: Sequence[int]
) -> dict[str, float]:
    """Recall at 1, 5, 10 in percent and median rank, both ways; `owner[i]` is the picture of text i.

    Texts (m, d) and pictures (n, d) are unit rows. Picture to text takes the best of the picture's own captions.
    """
    found = rank(texts, pictures, owner).scores(np.arange(len(pictures)))
    return {name: round(score, 1) for name, score in found.items() if not name.endswith("_map")}
