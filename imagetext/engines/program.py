"""A network in torch, described for export; torch is the reference for every engine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imagetext.engines.network import Array, Run


@dataclass(frozen=True)
class Program:
    """A network in evaluation mode.

    Attributes:
        name: such as "pictures" or "texts"; part of file names.
        module: its forward takes tensors and returns a tensor or a tuple of tensors.
        example: inputs of the usual size; engines are timed on them.
        free: for each input, the axes whose length varies between calls.
        others: more inputs, of other lengths; an engine must agree with torch on all of them.
        tolerance: the largest error of its first output; None if only its direction counts.
        int8: whether int8 matrices may be tried; not for beam search, where small differences decide.
        single: whether engines should keep a compiled copy for single examples, with the weights once more.
        lean: an equivalent module that is exported instead; engines are compared with `module`.
    """

    name: str
    module: nn.Module
    example: tuple[Tensor, ...]
    free: tuple[tuple[int, ...], ...]
    others: tuple[tuple[Tensor, ...], ...] = ()
    tolerance: float | None = None
    int8: bool = True
    single: bool = False
    lean: nn.Module | None = None


def arrays(tensors: Iterable[Tensor]) -> list[Array]:
    """Tensors as arrays for engines."""
    return [tensor.contiguous().numpy() for tensor in tensors]


def run_in_torch(module: nn.Module) -> Run:
    """The reference."""

    @torch.inference_mode()
    def run(*inputs: Array) -> Sequence[Array]:
        found = module(*map(torch.from_numpy, inputs))
        return [tensor.numpy() for tensor in ((found,) if isinstance(found, Tensor) else found)]

    return run
