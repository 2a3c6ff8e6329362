"""OpenVINO on the processor."""

from pathlib import Path
from typing import Any

from imagetext.engines.export import exported
from imagetext.engines.program import Array, Program, Run


def precisions() -> list[str]:
    """What this processor computes in: "f32", and "bf16" only where it has instructions for it."""
    import openvino as ov

    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["f32", "bf16"] if "BF16" in able else ["f32"]


def run_in_openvino(program: Program, folder: Path, *, precision: str, threads: int) -> Run:
    """The program in one of `precisions()`, on `threads` threads."""
    import openvino as ov

    # `convert_model` would do without the file, but it reports its use to its makers.
    compiled = ov.Core().compile_model(
        exported(program, folder),
        "CPU",
        {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads},
    )
    # Two requests by turns: what one gives may be an input of the next, and is not overwritten meanwhile.
    requests = [compiled.create_infer_request() for _ in range(2)]
    outputs = len(compiled.outputs)

    def run(*inputs: Array) -> list[Array]:
        requests.reverse()
        found: Any = requests[0].infer(list(inputs), share_inputs=True, share_outputs=True)
        return [found[number] for number in range(outputs)]

    return run
