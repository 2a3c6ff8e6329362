"""OpenVINO on the processor."""

import os
from pathlib import Path
from typing import Any

from imagetext.engines.program import Array, Program, Run

Precision = str  # "f32" or "bf16"


def precisions() -> list[Precision]:
    """What this processor computes in: bfloat16 only where it has instructions for it."""
    import openvino as ov

    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["f32", "bf16"] if "BF16" in able else ["f32"]


def run_in_openvino(program: Program, folder: Path | None, *, precision: Precision, threads: int) -> Run:
    """Converted once and kept in `folder`, if there is one."""
    import openvino as ov

    core = ov.Core()
    compiled = core.compile_model(
        _model(core, program, folder),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
        },
    )
    # Two requests by turns: what one gives may be an input of the next, and is not overwritten meanwhile.
    requests = [compiled.create_infer_request() for _ in range(2)]
    outputs = len(compiled.outputs)

    def run(*inputs: Array) -> list[Array]:
        requests.reverse()
        found: Any = requests[0].infer(list(inputs), share_inputs=True, share_outputs=True)
        return [found[number] for number in range(outputs)]

    return run


def _model(core: Any, program: Program, folder: Path | None) -> Any:
    import openvino as ov

    file = folder / f"{program.name}.xml" if folder else None
    if file is not None and file.exists():
        return core.read_model(file)
    shapes = [
        ov.PartialShape([-1 if axis in free else length for axis, length in enumerate(tensor.shape)])
        for tensor, free in zip(program.example, program.free, strict=True)
    ]
    model = ov.convert_model(program.module, example_input=program.example, input=shapes)
    if file is not None:
        _save(model, file)
    return model


def _save(model: Any, file: Path) -> None:
    """Weights first: the file that is looked for appears last, and whole."""
    import openvino as ov

    unfinished = file.with_name(f"unfinished-{os.getpid()}-{file.name}")
    ov.save_model(model, unfinished, compress_to_fp16=False)
    os.replace(unfinished.with_suffix(".bin"), file.with_suffix(".bin"))
    os.replace(unfinished, file)
