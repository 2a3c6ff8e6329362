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
    # Else its threads spin for a second after each call, and take the cores from the next network and everybody else.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = ort.InferenceSession(exported(program, folder), options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*inputs: Array) -> list[Array]:
        found: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
        return found

    return run
