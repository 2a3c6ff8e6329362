"""Which engine is taken: the fastest that agrees, remembered for the model and the machine."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imagetext.engines import Engines, Program, Run, run_in_torch
from imagetext.engines.choice import fastest
from imagetext.errors import InvalidParameter


class Doubling(nn.Module):
    """A network that takes its time."""

    def forward(self, rows: Tensor) -> Tensor:
        time.sleep(0.002)
        return 2 * rows


@pytest.fixture
def program() -> Program:
    return Program("doubling", Doubling(), (torch.eye(3),), ((0,),))


def quick(factor: float) -> Run:
    def run(rows: np.ndarray) -> list[np.ndarray]:
        return [rows * factor + (factor < 0)]

    return run


def broken(program: Program, folder: Path) -> Run:
    raise RuntimeError("an operator is missing")


def in_torch(program: Program, folder: Path) -> Run:
    return run_in_torch(program.module)


def test_the_fastest_that_agrees_is_taken(program: Program, tmp_path: Path) -> None:
    """A faster engine wins, unless its numbers point elsewhere or it cannot take the network at all."""
    right, wrong = quick(2), quick(-2)
    loads = {"torch": in_torch, "wrong": lambda *_: wrong, "right": lambda *_: right, "broken": broken}

    assert fastest(loads, program, tmp_path / "choice.json").run is right

    choice = json.loads((tmp_path / "choice.json").read_text())
    assert choice["engine"] == "right"
    assert set(choice["milliseconds"]) == {"torch", "right"}


@pytest.mark.parametrize(("tolerance", "taken"), [(None, "near"), (0.1, "near"), (0.001, "torch")])
def test_numbers_that_are_ranked_must_be_near(tmp_path: Path, tolerance: float | None, taken: str) -> None:
    """The right direction is not enough where small differences decide."""
    program = Program("doubling", Doubling(), (torch.eye(3),), ((0,),), tolerance=tolerance)
    near = quick(2.02)

    assert fastest({"torch": in_torch, "near": lambda *_: near}, program, tmp_path / "choice.json").engine == taken


@pytest.mark.parametrize(("off", "taken"), [(0.02, "near"), (0.04, "torch")])
def test_a_start_allows_half_of_what_is_promised(program: Program, tmp_path: Path, off: float, taken: str) -> None:
    """A cosine of 0.9998 is taken, one of 0.9992 is not: other inputs would be below 0.999."""

    def run(rows: np.ndarray) -> list[np.ndarray]:
        return [2 * (rows + off * np.roll(rows, 1, 1))]

    assert fastest({"torch": in_torch, "near": lambda *_: run}, program, tmp_path / "choice.json").engine == taken


@pytest.mark.parametrize(("factor", "taken"), [(2.0, "onnxruntime"), (-2.0, "torch")])
def test_what_is_exported_is_compared_with_the_network(tmp_path: Path, factor: float, taken: str) -> None:
    """A lean form runs in an engine in the network's place, but not where it gives something else."""
    network, lean = nn.Linear(3, 3).eval(), nn.Linear(3, 3).eval()
    lean.load_state_dict({name: factor * tensor for name, tensor in network.state_dict().items()})
    program = Program("line", network, (torch.eye(3),), ((0,),), lean=lean)

    loaded = Engines(tmp_path, only="onnxruntime").load(program, "one")

    assert loaded.engine == taken
    found, expected = loaded.run(np.eye(3, dtype=np.float32))[0], network(torch.eye(3)).detach().numpy()
    assert np.allclose(found, (2 if taken == "onnxruntime" else 1) * expected, atol=1e-5)


def test_torch_runs_what_no_engine_takes(program: Program, tmp_path: Path) -> None:
    """Where every other engine fails, torch still answers."""
    run = fastest({"torch": in_torch, "broken": broken}, program, tmp_path / "choice.json").run

    assert np.array_equal(run(np.ones((2, 3), dtype=np.float32))[0], np.full((2, 3), 2.0))


def test_a_choice_is_remembered_for_its_model(tmp_path: Path) -> None:
    """The second start reads what the first has kept; another model gets a choice of its own."""
    program = Program("line", nn.Linear(4, 2).eval(), (torch.randn(1, 4),), ((0,),))
    engines = Engines(tmp_path / "kept")

    engines.run(program, "one")
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "kept").rglob("*") if file.is_file()}
    engines.run(program, "one")

    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "kept").rglob("*") if file.is_file()} == kept
    assert any(file.name == "choice.json" for file in kept)
    engines.run(program, "two")
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_no_obstacle(tmp_path: Path) -> None:
    """Without a place to keep anything the network runs all the same."""
    (tmp_path / "file").write_text("in the way")
    program = Program("line", nn.Linear(4, 2).eval(), (torch.randn(1, 4),), ((0,),))

    run = Engines(tmp_path / "file" / "kept").run(program, "one")

    assert run(np.zeros((3, 4), dtype=np.float32))[0].shape == (3, 2)


def test_what_cannot_be_kept_is_no_obstacle(program: Program, tmp_path: Path) -> None:
    """On a full disk, or in somebody else's folder, the choice is made all the same."""
    (tmp_path / "choice.json").mkdir()  # so that no file can get this name
    right = quick(2)

    assert fastest({"torch": in_torch, "right": lambda *_: right}, program, tmp_path / "choice.json").run is right
    assert [file.name for file in tmp_path.iterdir()] == ["choice.json"]


def test_an_engine_that_does_not_load_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is installed, but is not for this processor."""

    def fail() -> None:
        raise ImportError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr("imagetext.engines.choice.arithmetics", fail)
    program = Program("line", nn.Linear(4, 2).eval(), (torch.randn(1, 4),), ((0,),))

    assert not Engines(tmp_path).load(program, "one").engine.startswith("openvino")


_START = """
import sys
from pathlib import Path
import torch
from imagetext.engines import Engines, Program

torch.manual_seed(0)
line = torch.nn.Linear(4, 2).eval()
program = Program("line", line, (torch.ones(1, 4),), ((0,),))
print(Engines(Path(sys.argv[1])).load(program, "one").engine)
"""


def test_replicas_that_start_together_share_one_choice(tmp_path: Path) -> None:
    """One exports and measures, the other waits and takes what it has found; nothing unfinished is left."""
    command = [sys.executable, "-c", _START, tmp_path]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    engines = {start.communicate()[0] for start in starts}

    assert [start.returncode for start in starts] == [0, 0]
    (folder,) = tmp_path.iterdir()
    assert {file.name for file in folder.iterdir()} <= {"choice.json", "line.onnx", "line-int8.onnx"}
    assert engines == {json.loads((folder / "choice.json").read_text())["engine"] + "\n"}


def test_sizes_of_batches_are_measured_once(program: Program, tmp_path: Path) -> None:
    """A first start measures batches of several sizes; the next one knows them."""
    engines = Engines(tmp_path)

    first, second = engines.load(program, "one"), engines.load(program, "one")

    assert list(first.seconds) == [1, 4, 8, 16, 32]
    assert all(took > 0 for took in first.seconds.values())
    assert list(second.seconds) == list(first.seconds)
    assert second.engine == first.engine


def test_a_choice_without_sizes_is_made_anew(tmp_path: Path) -> None:
    """What an earlier version kept, or half of a file, is no obstacle."""
    program = Program("line", nn.Linear(4, 2).eval(), (torch.randn(1, 4),), ((0,),))
    engines = Engines(tmp_path)
    engines.load(program, "one")
    (file,) = tmp_path.rglob("choice.json")
    file.write_text('{"engine": "torch"}')

    assert 32 in engines.load(program, "one").seconds
    assert "batches" in json.loads(file.read_text())


@pytest.mark.parametrize("engine", ["openvino-f32", "onnxruntime", "torch"])
def test_calls_at_once_do_not_mix(engine: str) -> None:
    """Two threads at once, each call with numbers of its own, and no answer is written over by a later one."""
    line = nn.Linear(64, 64).eval()
    program = Program("line", line, (torch.randn(1, 64),), ((0,),))
    run = Engines(only=engine, streams=2).run(program, "one")

    def ask(seed: int) -> bool:
        random = np.random.default_rng(seed)
        answers = []
        for size in (1, 5, 40) * 10:
            rows = random.standard_normal((size, 64), dtype=np.float32)
            answers.append((run(rows)[0], line(torch.from_numpy(rows)).detach().numpy()))
        return all(np.allclose(found, expected, atol=1e-4) for found, expected in answers)

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(ask, range(6)))


def test_a_choice_for_several_calls_at_once_is_kept_apart(tmp_path: Path) -> None:
    """What is exported is shared; which engine is the fastest with fewer threads is another question."""
    program = Program("line", nn.Linear(4, 2).eval(), (torch.randn(1, 4),), ((0,),))

    for streams in (1, 2):
        Engines(tmp_path, threads=2, streams=streams).load(program, "one")

    (folder,) = tmp_path.iterdir()
    assert {file.name for file in folder.iterdir()} == {"choice.json", "choice-2-streams.json", "line.onnx"}


def test_an_unknown_engine_is_refused(program: Program) -> None:
    """A misspelt engine is an error that names those that there are."""
    with pytest.raises(InvalidParameter, match="openvino-f32"):
        Engines(only="openvyno").run(program, "one")
