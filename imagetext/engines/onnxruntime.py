"""ONNX Runtime on the processor."""

from pathlib import Path

from imagetext.engines.network import Array, Network, Run

ERRORS = 3  # the severity from which it logs


def run_in_onnxruntime(network: Network, compiled: Path | None = None, *, threads: int, fused: bool = True) -> Run:
    """The network on `threads` threads. Without `fused` it rewrites nothing into its int8 kernels, which saturate on
    processors without 8-bit dot products. Nothing is kept in `compiled`."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = ERRORS
    if not fused:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Else its threads spin for a second after each call, and take the cores from the next network and everybody else.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = ort.InferenceSession(network.file, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*inputs: Array) -> list[Array]:
        found: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
        return found

    return run
