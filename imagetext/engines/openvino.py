"""OpenVINO on the processor."""

import threading
from pathlib import Path
from typing import Any

from imagetext.engines.export import exported
from imagetext.engines.program import Array, Program, Run


def precisions() -> list[str]:
    """What this processor computes in: "f32", and "bf16" only where it has instructions for it."""
    import openvino as ov

    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["f32", "bf16"] if "BF16" in able else ["f32"]


def run_in_openvino(program: Program, folder: Path, *, precision: str, threads: int, streams: int = 1) -> Run:
    """The program in one of `precisions()`; as many calls at once as `streams`, each on `threads` threads."""
    import openvino as ov

    # `convert_model` would do without the file, but it reports its use to its makers.
    compiled = ov.Core().compile_model(
        exported(program, folder),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads * streams,
            "NUM_STREAMS": streams,
        },
    )
    requests = _Requests(compiled)
    outputs = len(compiled.outputs)

    def run(*inputs: Array) -> list[Array]:
        found: Any = requests.next().infer(list(inputs), share_inputs=True, share_outputs=True)
        return [found[number] for number in range(outputs)]

    return run


class _Requests(threading.local):
    """Two for each thread, by turns: what one gives may be an input of the next, and is not overwritten meanwhile."""

    def __init__(self, compiled: Any) -> None:
        self._pair = [compiled.create_infer_request() for _ in range(2)]

    def next(self) -> Any:
        self._pair.reverse()
        return self._pair[0]
