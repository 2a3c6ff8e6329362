"""What a batch of unit vectors costs."""

import torch
from torch import Tensor

from training.contrastive import info_nce


def clip_loss(pictures: Tensor, texts: Tensor, scale: Tensor, hardest: float, margin: float) -> Tensor:
    """InfoNCE, and `hardest` times the hinge on the hardest negatives.

    Args:
        pictures: (n, d) unit rows.
        texts: (n * captions, d) unit rows, the captions of a picture one after the other. Two captions of one picture
            never stand against each other.
        scale: what similarities are multiplied with.
    """
    similar = texts.view(len(pictures), -1, texts.shape[-1]).transpose(0, 1) @ pictures.T
    loss = info_nce(similar * scale)
    return loss + hardest * hardest_negatives(similar, margin) if hardest else loss


def hardest_negatives(similar: Tensor, margin: float) -> Tensor:
    """How far the most similar stranger comes within the margin of the own one, both ways (Faghri et al., 2018,
    "VSE++", equation 6). Similarities are (captions, n texts, n pictures), the own ones on the diagonal; the mean over
    all.
    """
    count = similar.shape[-1]
    if count == 1:
        return similar.new_zeros(())
    own = similar.diagonal(dim1=1, dim2=2)
    strangers = similar.masked_fill(torch.eye(count, dtype=torch.bool, device=similar.device), -torch.inf)
    ways = [(margin + strangers.amax(dim) - own).clamp(min=0).mean() for dim in (1, 2)]
    return (ways[0] + ways[1]) / 2
