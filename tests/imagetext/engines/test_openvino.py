"""What OpenVINO does to the process that it is loaded into."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imagetext.engines import Engines, Network

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


def test_half_of_what_was_compiled_is_no_obstacle(line: Network, tmp_path: Path) -> None:
    """A start that was killed may leave such a file: the next one compiles again, and gives the same numbers."""
    pytest.importorskip("openvino")
    engines, rows = Engines(tmp_path), np.ones((3, 4), dtype=np.float32)
    engines.load(line)
    (choice,) = (tmp_path / "choices").glob("*.json")
    choice.write_text('{"engine": "openvino-f32", "batches": {}, "refused": {}}')
    whole = engines.load(line)
    assert whole is not None and whole.engine == "openvino-f32"
    compiled = [file for file in tmp_path.rglob("openvino-f32/*") if file.is_file()]
    assert compiled

    for file in compiled:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    half = engines.load(line)

    assert half is not None and half.engine == "openvino-f32"
    assert np.array_equal(half.run(rows)[0], whole.run(rows)[0])
