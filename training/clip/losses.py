"""What a batch of unit vectors costs.

The gradient of a large batch on the memory of a small one (Gao et al., 2021, "GradCache", section 3.2).

A contrastive loss needs all vectors of a batch at once, but no network. So the batch is encoded in chunks and without a
graph; the loss gives the gradient at the vectors; each chunk is encoded once more, now with its graph, and takes its
part of that gradient on. What comes out is the plain gradient of the whole batch, for one more pass forward.

Several processes each encode their share of the batch; the loss sees the vectors of all.

What a batch is encoded with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from imagetext.models.encoder.clip import unit_rows
from training.contrastive import info_nce
from training.processes import ALONE, Processes, mixed_precision


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


@dataclass(frozen=True)
class Side:
    """One side of a batch: its chunks, and the network that makes rows of vectors of a chunk. A side that is not
    trained is encoded once."""

    encode: Callable[[Tensor], Tensor]
    chunks: Sequence[Tensor]
    trained: bool = True


def backward_in_chunks(sides: Sequence[Side], loss: Callable[..., Tensor], processes: Processes = ALONE) -> float:
    """Add the gradient of loss(rows of the first side, rows of the second, ...) to all parameters.

    The rows are those of all processes, each of which has some of every side; the gradient is the mean of what it is in
    each of them. Returns the loss. One that is not finite leaves no gradient in the networks. Random choices within the
    networks, such as dropout, are the same both times that a chunk is encoded.
    """
    encoded = [_encode(side) for side in sides]
    gathered = [processes.gather(torch.cat([rows for rows, _ in chunks])) for chunks in encoded]
    vectors = [torch.cat(parts).requires_grad_(True) for parts in gathered]
    value = loss(*vectors)
    if value.isfinite():
        value.backward()  # type: ignore[no-untyped-call]
        after = _random_state()
        for side, chunks, parts, whole in zip(sides, encoded, gathered, vectors, strict=True):
            if side.trained and whole.grad is not None:
                own = torch.split(whole.grad, [len(part) for part in parts])[processes.index]
                # Each process has all of the loss's own gradient, but of the networks' only what its rows add; times
                # the number of processes, the mean over them is right for both.
                _pass_on(side, chunks, own * processes.count)
        _restore(after)
    return float(value.detach())


_Random = tuple[Tensor, list[Tensor]]


@torch.no_grad()
def _encode(side: Side) -> list[tuple[Tensor, _Random]]:
    """The rows of each chunk, with the state of chance before it."""
    encoded = []
    for chunk in side.chunks:
        before = _random_state()
        encoded.append((side.encode(chunk), before))
    return encoded


def _pass_on(side: Side, chunks: Sequence[tuple[Tensor, _Random]], gradient: Tensor) -> None:
    parts = torch.split(gradient, [len(rows) for rows, _ in chunks])
    for chunk, (_, before), part in zip(side.chunks, chunks, parts, strict=True):
        _restore(before)
        side.encode(chunk).backward(part)  # type: ignore[no-untyped-call]


def _random_state() -> _Random:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def _restore(state: _Random) -> None:
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])


class Towers:
    """A CLIP's two towers as functions from a chunk to unit rows in float32."""

    def __init__(self, model: Any, bfloat16: bool) -> None:
        self.model = model
        self.device: torch.device = model.logit_scale.device
        self.bfloat16 = bfloat16

    def pictures(self, chunk: Tensor) -> Tensor:
        with mixed_precision(self.device.type, self.bfloat16):
            return unit_rows(self.model.get_image_features(pixel_values=chunk.to(self.device)))

    def texts(self, chunk: Tensor) -> Tensor:
        ids, mask = chunk.to(self.device).unbind(1)
        with mixed_precision(self.device.type, self.bfloat16):
            return unit_rows(self.model.get_text_features(input_ids=ids, attention_mask=mask))
