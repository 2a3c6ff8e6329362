"""Runs pictures and texts through served models, and fits the curve from similarity to relevance."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from imagetext.models.captioner.engine import Captioner, DecodedCaption, DecodingOptions
from imagetext.models.encoder.calibration import Calibration
from imagetext.models.encoder.engine import Encoder
from imagetext.pictures import open_picture
from training.dataset import CaptionedPicture

BATCH = 32
CAPTION_BATCH = 16
NEGATIVES = 50  # weight of all negatives for each positive
STEPS = 200


def encode_pictures(encoder: Encoder, pictures: Sequence[CaptionedPicture]) -> NDArray[np.float32]:
    """Unit rows (n, dimensions). Raises ImageTextError for a picture that cannot be read."""

    def prepare(picture: CaptionedPicture) -> NDArray[np.uint8]:
        return encoder.prepare(open_picture(picture.path))

    rows = []
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(pictures), BATCH), desc="pictures", unit="batch"):
            rows.append(encoder.encode_pictures(list(pool.map(prepare, pictures[start : start + BATCH]))))
    return np.concatenate(rows)


def encode_texts(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit rows (n, dimensions) in the order of the texts, which are batched by length."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    rows = np.empty((len(texts), encoder.dimensions), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        some = order[start : start + BATCH]
        rows[some] = encoder.encode_texts([texts[place] for place in some])
    return rows


def caption_pictures(captioner: Captioner, pictures: Sequence[CaptionedPicture], beams: int) -> list[DecodedCaption]:
    """The best caption of each picture. Raises ImageTextError for a picture that cannot be read."""
    options, best = DecodingOptions(num_beams=beams), list[DecodedCaption]()
    for start in tqdm(range(0, len(pictures), CAPTION_BATCH), desc="captions", unit="batch", leave=False):
        batch = pictures[start : start + CAPTION_BATCH]
        inputs = [captioner.prepare(open_picture(picture.path, target=captioner.decoded_side)) for picture in batch]
        best += [captions[0] for captions in captioner.caption(inputs, options)]
    return best


def fit_calibration(texts: Tensor, pictures: Tensor) -> Calibration:
    """A logistic regression of "belongs together" on similarity (Platt, 1999).

    Texts (m, d) and pictures (n, d) are unit rows, m a multiple of n in the pictures' order. All other pictures are
    negatives, with a total weight of `NEGATIVES` for each positive: the first hit of a query with a match should be
    near 1, the best of a collection without a match near 0.
    """
    similarity = texts @ pictures.T
    own = torch.arange(len(texts)) // (len(texts) // len(pictures))
    fits = F.one_hot(own, len(pictures)).bool()
    return fit_curve(similarity, fits, torch.where(fits, 1.0, NEGATIVES / (len(pictures) - 1)))


def fit_curve(nearness: Tensor, fits: Tensor, weights: Tensor) -> Calibration:
    """A weighted logistic regression of `fits` on `nearness`; all of one shape."""
    line = torch.tensor([20.0, -8.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(line[0] * nearness + line[1], fits.float(), weights)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scale, offset = line.detach().tolist()
    return Calibration(scale=round(scale, 3), offset=round(offset, 3))
