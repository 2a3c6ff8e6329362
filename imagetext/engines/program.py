"""A network in torch, described for engines, and torch itself: the reference that engines are compared with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imagetext.engines.network import Array, Run


@dataclass(frozen=True)
class Program:
    """A network in evaluation.

    Attributes:
        name: of what it does, fit for a file name: "pictures", "texts".
        module: its forward takes tensors and returns a tensor or a tuple of tensors.
        example: inputs of a usual size; engines are measured on them.
        free: of each input, the axes whose length differs from call to call.
        others: more inputs, of other lengths; an engine must agree with torch on all of them.
        tolerance: the largest difference that its first output may have, where a direction is not all that counts.
        int8: whether matrices may be tried in int8; not where a search goes on from the outputs: it decides by little.
        single: whether engines should keep a compiled copy for single examples, with the weights once more.
        lean: gives what the module gives, and is exported in its place; engines are compared with the module.
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
    """Tensors as engines take them."""
    return [tensor.contiguous().numpy() for tensor in tensors]


def run_in_torch(module: nn.Module) -> Run:
    """The reference."""

    @torch.inference_mode()
    def run(*inputs: Array) -> Sequence[Array]:
        found = module(*map(torch.from_numpy, inputs))
        return [tensor.numpy() for tensor in ((found,) if isinstance(found, Tensor) else found)]

    return run
