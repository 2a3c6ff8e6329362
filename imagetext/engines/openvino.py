"""OpenVINO on the processor."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from imagetext.engines.network import Array, Network, Run

SMALL = 64 * 2**20  # bytes of a file


@dataclass(frozen=True)
class Arithmetic:
    """What a network is computed in.

    Attributes:
        precision: "f32" or "bf16".
        group: so many neighbours in a row share a scale where large matrices are multiplied in int8; their inputs are
            quantised as they come. 0 where nothing is.
        quantised: whether a network with int8 weights and activations of its own runs in int8 kernels. Without it
            runs in float32, which gives the same numbers on every processor.
    """

    precision: str = "f32"
    group: int = 0
    quantised: bool = True


FLOAT32 = Arithmetic()
NOT_QUANTISED = Arithmetic(quantised=False)


def arithmetics() -> Mapping[str, Arithmetic]:
    """All that are worth a try on this processor, by name: bfloat16 only where it has instructions for it."""
    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    found = {"f32": FLOAT32}
    if "BF16" in able:
        found["bf16"] = Arithmetic("bf16")
    return found | {f"int8-{group}": Arithmetic(group=group) for group in (64, 32)}


@cache
def core() -> Any:
    """The one of this process, kept for ever.

    Each brings a stack for signals to the thread that makes it, and frees it when it goes: of several, the last may put
    back the freed one of another, and the next signal with a handler, such as SIGTERM or SIGCHLD, ends the process.
    """
    import openvino as ov

    return ov.Core()


def run_in_openvino(
    network: Network, compiled: Path | None = None, *, arithmetic: Arithmetic, threads: int, streams: int = 1
) -> Run | None:
    """The network in one of `arithmetics()`; as many calls at once as `streams`, each on `threads` threads.

    What is compiled is kept in the folder `compiled`, which makes the next load several times as fast. None where int8
    weights would be of no use.
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
    if compiled is not None:
        settings["CACHE_DIR"] = str(compiled)
    run = _compiled(file, settings)
    if streams > 1 or not _worth_a_copy(network, file):
        return run
    alone = _compiled(file, settings, of_one=True)
    return lambda *inputs: (alone if len(inputs[0]) == 1 else run)(*inputs)


def _worth_a_copy(network: Network, file: Path) -> bool:
    """Whether only the number of examples is free, and the weights may lie in memory twice."""
    return all(axes == (0,) for axes in network.free) and file.stat().st_size <= SMALL


def _compiled(file: Path, settings: Mapping[str, object], *, of_one: bool = False) -> Run:
    """`of_one` is for a single example: without a shape to find out each call takes a tenth less."""
    # `convert_model` would do without the file, but it reports its use to its makers.
    model = core().read_model(file)
    if of_one:
        model.reshape({each: [1, *list(each.partial_shape)[1:]] for each in model.inputs})
    compiled = core().compile_model(model, "CPU", dict(settings))
    own = _OwnRequest(compiled)
    outputs = len(compiled.outputs)

    def run(*inputs: Array) -> list[Array]:
        # Copies come out: what a call gives may be an input of the next one, which writes over the request's outputs.
        # By number: of a list OpenVINO makes a dictionary itself, and takes longer.
        found: Any = own.request.infer(dict(enumerate(inputs)), share_inputs=True, share_outputs=False)
        return [found[number] for number in range(outputs)]

    return run


class _OwnRequest(threading.local):
    """One for each thread."""

    def __init__(self, compiled: Any) -> None:
        self.request = compiled.create_infer_request()
