"""What OpenVINO does to the process that it is loaded into."""

import subprocess
import sys

import pytest

_COME_AND_GO = """
import gc, os, signal
import torch
from imagetext.engines import Engines, Program

signal.signal(signal.SIGTERM, lambda *_: print("handled"))
for _ in range(2):
    program = Program("linear", torch.nn.Linear(2, 2).eval(), (torch.ones(1, 2),), ((0,),))
    run = Engines(only="openvino-f32").run(program, "")
    run(*program.inputs)
    del run
    gc.collect()
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_are_handled_while_networks_come_and_go() -> None:
    """It lays a stack for signals, which may not be freed under the thread that has it: SIGTERM would be a crash."""
    pytest.importorskip("openvino")

    done = subprocess.run([sys.executable, "-c", _COME_AND_GO], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "handled\n" * 2), done.stderr
