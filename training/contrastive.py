"""Contrastive losses over a batch of unit vectors, and the gradient of a large batch in the memory of a small one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.processes import ALONE, Processes

LARGEST_SCALE = 100.0  # of similarities (Radford et al., 2021, section 2.5)

_Random = tuple[Tensor, list[Tensor]]  # torch's generators: of the CPU, of each GPU


def info_nce(logits: Tensor) -> Tensor:
    """InfoNCE of logits (captions, n texts, n pictures), both ways; captions of one picture never compete."""
    own = torch.arange(logits.shape[-1], device=logits.device).repeat(len(logits))
    both = logits, logits.mT
    return sum((F.cross_entropy(way.flatten(0, 1), own) for way in both), torch.tensor(0.0)) / 2


def hardest_negatives(similar: Tensor, margin: float) -> Tensor:
    """The hinge on the hardest negatives, both ways (Faghri et al., 2018, "VSE++", equation 6), averaged.

    Similarities are (captions, n texts, n pictures), with the positives on the diagonal.
    """
    count = similar.shape[-1]
    if count == 1:
        return similar.new_zeros(())
    positives = similar.diagonal(dim1=1, dim2=2)
    negatives = similar.masked_fill(torch.eye(count, dtype=torch.bool, device=similar.device), -torch.inf)
    ways = [(margin + negatives.amax(dim) - positives).clamp(min=0).mean() for dim in (1, 2)]
    return (ways[0] + ways[1]) / 2


@dataclass(frozen=True)
class Side:
    """One side of a batch: its chunks, and the encoder from a chunk to rows of vectors. A side that is not trained is
    encoded only once."""

    encode: Callable[[Tensor], Tensor]
    chunks: Sequence[Tensor]
    trained: bool = True


def backward_in_chunks(sides: Sequence[Side], loss: Callable[..., Tensor], processes: Processes = ALONE) -> float:
    """Add the gradient of loss(rows of the first side, rows of the second, ...) to all parameters; returns the loss.

    A contrastive loss needs all vectors of a batch at once, but not the networks (Gao et al., 2021, "GradCache",
    section 3.2). The batch is encoded in chunks without a graph; the loss gives the gradient at the vectors; then each
    chunk is encoded again with its graph and passes its part of that gradient on. The result is the exact gradient of
    the whole batch, for one extra forward pass.

    Each process encodes its share of every side; the loss sees the rows of all, and the gradient is the mean over the
    processes. A loss that is not finite leaves no gradient. Dropout is the same both times a chunk is encoded.
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
                # Each process has the whole gradient of the loss, but of the networks only the part of its rows:
                # multiplied by the number of processes, the mean over them is right for both.
                _pass_on(side, chunks, own * processes.count)
        _restore(after)
    return float(value.detach())


@torch.no_grad()
def _encode(side: Side) -> list[tuple[Tensor, _Random]]:
    """The rows of each chunk, with the state of the random generators before it."""
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
