"""ONNX Runtime on the processor."""

from pathlib import Path

from imagetext.engines.export import exported
from imagetext.engines.program import Array, Program, Run

ERRORS = 3  # the severity from which it logs


def run_in_onnxruntime(program: Program, folder: Path, *, threads: int) -> Run:
    """The program on `threads` threads."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = ERRORS
    session = ort.InferenceSession(exported(program, folder), options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*inputs: Array) -> list[Array]:
        found: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
        return found

    return run
