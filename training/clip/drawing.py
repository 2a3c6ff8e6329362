"""Which captions of a picture a batch takes."""

import torch
from torch import Tensor


def draw_captions(counts: Tensor, number: int) -> Tensor:
    """For pictures that have `counts` (n,) captions, `number` of each: (n, number), from 0.

    All are different where a picture has as many; where it has fewer, each is taken about as often as the others.
    """
    order = torch.rand(len(counts), int(counts.max()))
    order.masked_fill_(torch.arange(order.shape[1]) >= counts[:, None], 2.0)
    return order.argsort(1).gather(1, torch.arange(number) % counts[:, None])
