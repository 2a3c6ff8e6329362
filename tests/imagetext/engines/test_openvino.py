"""What OpenVINO does to the process that it is loaded into."""

import subprocess
import sys

import pytest

from imagetext.engines import Network

_COME_AND_GO = """
import gc, os, signal, sys
from pathlib import Path
from imagetext.engines import Engines, Network

signal.signal(signal.SIGTERM, lambda *_: print("handled"))
for _ in range(2):
    network = Network.open(Path(sys.argv[1]), "line")
    run = Engines(only="openvino-f32").load(network).run
    run(*network.inputs)
    del run
    gc.collect()
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_are_handled_while_networks_come_and_go(line: Network) -> None:
    """It lays a stack for signals, which may not be freed under the thread that has it: SIGTERM would be a crash."""
    pytest.importorskip("openvino")

    command = [sys.executable, "-c", _COME_AND_GO, line.folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "handled\n" * 2), done.stderr
