"""A program as an ONNX file, which every engine reads."""

import inspect
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from imagetext.engines.kept import put
from imagetext.engines.program import Program
from imagetext.engines.rounding import translations

OPSET = 20


def exported(program: Program, folder: Path) -> Path:
    """The program's file in `folder`; exported once."""
    file = folder / f"{program.name}.onnx"
    if not file.exists():
        network = _export(program)
        put(file, lambda unfinished: network.save(unfinished, external_data=False))
    return file


def _export(program: Program) -> Any:
    module = program.module if program.lean is None else program.lean
    # It reports every operator that it leaves out, and everything that a later torch will do without.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.onnx.export(
            module,
            program.example,
            dynamo=True,
            dynamic_shapes=_shapes(module, program.free),
            opset_version=OPSET,
            custom_translation_table=translations(),
            verbose=False,
        )


def _shapes(module: nn.Module, axes_by_input: Sequence[Sequence[int]]) -> tuple[Any, ...]:
    """The free axes in the form of the forward's own parameters: what goes into `*tensors` is one tuple."""
    free = [dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in axes_by_input]
    kinds = [parameter.kind for parameter in inspect.signature(module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return tuple(free)
    named = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*free[:named], tuple(free[named:]))
