"""Exports a network from torch, the reference for every engine, to the files that engines read (see `network.py`)."""

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.onnx.utils import register_custom_op_symbolic

from imagetext.engines.choice import Engines, Loaded
from imagetext.engines.int8 import rounded_in_onnx, write_int8_weights
from imagetext.engines.network import Array, Network, Run
from imagetext.wire.errors import ModelError

OPSET = 18


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


def export(program: Program, folder: Path) -> Network:
    """Write the program's files, including torch's outputs for its inputs."""
    file = folder / f"{program.name}.onnx"
    _write_onnx(program, file)
    if program.int8 and program.tolerance is None:
        write_int8_weights(file, folder / f"{program.name}-int8.onnx")
    reference, stored, places = run_in_torch(program.module), _Stored(), []
    for tensors in (program.example, *program.others):
        inputs = arrays(tensors)
        places.append([stored.add(inputs), stored.add(reference(*inputs))])
    save_file(stored.arrays, folder / f"{program.name}.safetensors")
    facts = {"free": program.free, "tolerance": program.tolerance, "single": program.single, "cases": places}
    for name in ("safetensors", "onnx"):
        (folder / f"{program.name}.{name}").chmod(0o644)  # safetensors makes it readable by the owner only
    (folder / f"{program.name}.json").write_text(json.dumps(facts), encoding="utf-8")
    return Network.open(folder, program.name)


def run_in_fastest(program: Program, engines: Engines | None = None) -> Run:
    """As `load_in_fastest`, without the facts about the engine."""
    return load_in_fastest(program, engines or Engines()).run


def load_in_fastest(program: Program, engines: Engines) -> Loaded:
    """A program in the fastest engine, with nothing kept: for training, which has torch and the weights anyway.

    Raises:
        ModelError: no engine can run it.
    """
    with TemporaryDirectory() as folder:
        network = export(program, Path(folder))
        loaded = engines.load(network)
    if loaded is None:
        raise ModelError(f"No engine can run {program.name}.")
    return loaded


class _Stored:
    """Arrays by name, equal ones once."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._names: dict[tuple[object, ...], str] = {}

    def add(self, arrays: Sequence[Array]) -> list[str]:
        return [self._add(np.ascontiguousarray(array)) for array in arrays]

    def _add(self, array: Array) -> str:
        content = (array.shape, array.dtype.str, hashlib.sha256(array.tobytes()).digest())
        name = self._names.setdefault(content, str(len(self._names)))
        self.arrays.setdefault(name, array)
        return name


def _write_onnx(program: Program, file: Path) -> None:
    """Uses torch's older, tracing exporter: it takes one second, the newer one fifteen, mostly for imports and
    decompositions. Its mistakes would be noticed, because engines are compared with torch itself."""
    module = program.module if program.lean is None else program.lean
    names = [f"input_{number}" for number in range(len(program.free))]
    register_custom_op_symbolic("imagetext::rounded", rounded_in_onnx, OPSET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about tracing
        torch.onnx.export(
            module,
            _traced(program),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            dynamic_axes={name: list(axes) for name, axes in zip(names, program.free, strict=True)},
        )
    _keep_inputs(file, dict(zip(names, program.example, strict=True)))


def _traced(program: Program) -> tuple[Tensor, ...]:
    """Inputs whose free axes are longer than 1: tracing may take a length of 1 for a constant."""
    cases = (program.example, *program.others)
    return next(
        (
            case
            for case in cases
            if all(tensor.shape[axis] > 1 for tensor, axes in zip(case, program.free, strict=True) for axis in axes)
        ),
        program.example,
    )


def _keep_inputs(file: Path, inputs: Mapping[str, Tensor]) -> None:
    """Restore the inputs that the exporter dropped as unused: engines are given all of them, in order."""
    model = onnx.load(file)
    left = {given.name: given for given in model.graph.input}
    if len(left) == len(inputs):
        return
    found = [left.get(name) or _unused_input(name, tensor) for name, tensor in inputs.items()]
    del model.graph.input[:]
    model.graph.input.extend(found)
    onnx.save(model, file)


def _unused_input(name: str, tensor: Tensor) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(tensor.numpy().dtype)
    return onnx.helper.make_tensor_value_info(name, kind, [None] * tensor.dim())
