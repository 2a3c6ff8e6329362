"""Starting a module in several processes, on a machine without GPUs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 1200  # seconds; where much else runs, importing torch alone takes minutes


def launch(number: int, module: str, *arguments: object) -> None:
    """`accelerate launch`, as on GPUs; they are hidden, so that the processes compute and talk on the processor."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(number)]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command += ["-m", module, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        assert process.wait(PATIENCE) == 0
    finally:
        process.terminate()
