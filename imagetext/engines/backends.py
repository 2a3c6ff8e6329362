"""The inference engines: OpenVINO and ONNX Runtime, on the processor."""

import io
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from imagetext.engines.network import Array, Network, Run
from imagetext.files import replacing

GROUP = 64  # as in `int8.py`
ONNXRUNTIME_LOG_LEVEL = 3  # errors

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic that a network runs in.

    Attributes:
        precision: "f32" or "bf16".
        group: how many neighbours in a row share a scale when large matrices are multiplied in int8, with inputs
            quantised on the fly; 0 for no int8 matrices.
        quantised: whether a network with its own int8 weights and activations runs in int8 kernels. Otherwise it runs
            in float32, with the same results on every processor.
    """

    precision: str = "f32"
    group: int = 0
    quantised: bool = True


FLOAT32 = Arithmetic()
NOT_QUANTISED = Arithmetic(quantised=False)


def arithmetics() -> Mapping[str, Arithmetic]:
    """All that are worth trying on this processor, by name: bfloat16 only if it has instructions for it."""
    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    found = {"f32": FLOAT32}
    if "BF16" in able:
        found["bf16"] = Arithmetic("bf16")
    return found | {f"int8-{GROUP}": Arithmetic(group=GROUP)}


@cache
def core() -> Any:
    """The only one in this process, never freed.

    Each core gives the thread that creates it a signal stack and frees it at its end. With several, the last may
    restore the freed stack of another, and the next handled signal, such as SIGTERM or SIGCHLD, crashes the process.
    """
    import openvino as ov

    # The bindings import NumPy on the first array. Two threads that do so at once deadlock: one holds the GIL, the
    # other the initialisation lock (OpenVINO 2026.4).
    ov.Type.f32.to_dtype()
    ov.Tensor(np.zeros(1, dtype=np.float32))
    return ov.Core()


def run_in_openvino(
    network: Network, compiled: Path | None = None, *, arithmetic: Arithmetic, threads: int, streams: int = 1
) -> Run | None:
    """The network in one of `arithmetics()`, with `streams` parallel calls of `threads` threads each.

    The compiled network is kept in the folder `compiled`, which makes the next load several times as fast. None if int8
    weights would not help.
    """
    file = network.int8_file if arithmetic.group else network.file
    if file is None:
        return None
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": arithmetic.precision,
        "INFERENCE_NUM_THREADS": threads * streams,
        "NUM_STREAMS": streams,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": arithmetic.group,
    }
    if not arithmetic.quantised:
        settings["LP_TRANSFORMS_MODE"] = "NO"
    if streams > 1 or not network.single:
        return _run(_compiled(file, settings, compiled))
    core()  # before the two threads below, each of which would create one
    with ThreadPoolExecutor(2) as pool:
        run, alone = (
            _run(each) for each in pool.map(lambda of_one: _compiled(file, settings, compiled, of_one), (False, True))
        )
    return lambda *inputs: (alone if len(inputs[0]) == 1 else run)(*inputs)


def _compiled(file: Path, settings: Mapping[str, object], kept: Path | None, of_one: bool = False) -> Any:
    """`of_one` is for a single example: with a fixed shape each call is faster."""
    blob = None if kept is None else kept / ("one.blob" if of_one else "any.blob")
    if blob is not None and blob.exists():
        try:
            return core().import_model(io.BytesIO(blob.read_bytes()), "CPU", dict(settings))
        except (OSError, RuntimeError):
            log.warning("%s is damaged; compiling the network again", blob)
    # `convert_model` would not need the file, but it sends telemetry.
    model = core().read_model(file)
    if of_one:
        model.reshape({each: [1, *list(each.partial_shape)[1:]] for each in model.inputs})
    compiled = core().compile_model(model, "CPU", dict(settings))
    if blob is not None:
        _keep(compiled, blob)
    return compiled


def _keep(compiled: Any, blob: Path) -> None:
    written = io.BytesIO()
    try:
        compiled.export_model(written)
        blob.parent.mkdir(parents=True, exist_ok=True)
        with replacing(blob) as unfinished:
            unfinished.write_bytes(written.getvalue())
    except (OSError, RuntimeError):
        log.warning("%s is not writable; networks will be compiled at every start", blob.parent)


def _run(compiled: Any) -> Run:
    own = _OwnRequest(compiled)
    outputs = len(compiled.outputs)

    def run(*inputs: Array) -> list[Array]:
        # Outputs are copies: they may be inputs of the next call, which overwrites the request's outputs.
        # By number: OpenVINO turns a list into a dictionary itself, but takes longer.
        found: Any = own.request.infer(dict(enumerate(inputs)), share_inputs=True, share_outputs=False)
        return [found[number] for number in range(outputs)]

    return run


class _OwnRequest(threading.local):
    """One infer request per thread."""

    def __init__(self, compiled: Any) -> None:
        self.request = compiled.create_infer_request()


def run_in_onnxruntime(network: Network, compiled: Path | None = None, *, threads: int, fused: bool = True) -> Run:
    """The network on `threads` threads. Without `fused` it uses no int8 kernels, which saturate on processors
    without 8-bit dot products. Nothing is kept in `compiled`."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = ONNXRUNTIME_LOG_LEVEL
    if not fused:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Otherwise its threads spin for a second after each call and take the cores from everything else.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = ort.InferenceSession(network.file, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*inputs: Array) -> list[Array]:
        found: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
        return found

    return run
