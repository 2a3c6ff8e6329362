"""Fitting the curve from similarity to relevance."""

import torch
from torch import Tensor
from torch.nn import functional as F

from imagetext.models.encoder.calibration import Calibration

NEGATIVES = 50  # weight of all negatives for each positive
STEPS = 200


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
