"""ONNX Runtime on the processor."""

import inspect
import logging
import os
from pathlib import Path
from typing import Any

import torch

from imagetext.engines.program import Array, Program, Run

OPSET = 20


def run_in_onnx(program: Program, folder: Path | None, *, threads: int) -> Run:
    """Exported once and kept in `folder`, if there is one."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(_model(program, folder), options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*inputs: Array) -> list[Array]:
        found: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
        return found

    return run


def _model(program: Program, folder: Path | None) -> Any:
    """A file, or the bytes of a model."""
    file = folder / f"{program.name}.onnx" if folder else None
    if file is not None and file.exists():
        return str(file)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports every operator that it leaves out
    exported = torch.onnx.export(
        program.module,
        program.example,
        dynamo=True,
        dynamic_shapes=_shapes(program),
        opset_version=OPSET,
        verbose=False,
    )
    assert exported is not None, "the exporter returns a program unless it is given a file"
    if file is None:
        return exported.model_proto.SerializeToString()
    unfinished = file.with_name(f"unfinished-{os.getpid()}-{file.name}")
    exported.save(unfinished, external_data=False)
    os.replace(unfinished, file)
    return str(file)


def _shapes(program: Program) -> tuple[Any, ...]:
    """The free axes in the form of the forward's own parameters: what goes into `*tensors` is one tuple."""
    free = [dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in program.free]
    kinds = [parameter.kind for parameter in inspect.signature(program.module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return tuple(free)
    named = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*free[:named], tuple(free[named:]))
