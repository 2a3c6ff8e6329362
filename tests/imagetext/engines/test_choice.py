"""Which engine is taken: the fastest that agrees with torch, remembered for the model and the machine."""

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imagetext.engines import Array, Engines, Network, Run
from imagetext.engines.choice import Load, fastest
from imagetext.engines.export import Program, export, load_in_fastest, run_in_torch
from imagetext.engines.trial import SIZES
from imagetext.wire.errors import InvalidParameter, ModelError


class Doubling(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return 2 * rows


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """(n, 3) -> (n, 3), compared on the rows of a unit matrix."""
    program = Program("doubling", Doubling(), (torch.eye(3),), ((0,),))
    return export(program, tmp_path_factory.mktemp("doubling-1"))


def times(factor: float, takes_s: float = 0.0) -> Load:
    """An engine that gives so many times its input."""

    def run(rows: Array) -> list[Array]:
        time.sleep(takes_s)
        return [factor * rows]

    return lambda *_: run


def broken(_: Network, compiled: Path | None) -> Run:
    raise RuntimeError("Exception from some.cpp:117:\nan operator is missing\n\n")


def failing(_: Network, compiled: Path | None) -> Run:
    """An engine that takes the network, but not these inputs."""

    def run(rows: Array) -> list[Array]:
        raise RuntimeError("a length does not fit")

    return run


def files_in(folder: Path) -> dict[Path, int]:
    """Of all files, when they were written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def choices_in(folder: Path) -> list[Path]:
    return list((folder / "choices").glob("*.json"))


def test_the_fastest_that_agrees_is_taken(doubling: Network) -> None:
    """A faster engine wins, unless its numbers point elsewhere or it cannot take the network; the reason is known."""
    loads = {"slow": times(2, 0.05), "wrong": times(-2), "right": times(2), "broken": broken, "failing": failing}
    loads["no use"] = lambda *_: None

    loaded = fastest(loads, doubling)

    assert loaded is not None
    assert loaded.engine == "right"
    assert set(loaded.refused) == {"wrong", "broken", "failing"}
    assert "cosine -1" in loaded.refused["wrong"]
    assert loaded.refused["broken"].endswith("an operator is missing")
    assert loaded.refused["failing"].endswith("a length does not fit")


def test_engines_that_are_close_alone_are_compared_in_a_batch(doubling: Network) -> None:
    """A tenth of a single call is worth less than most of a batch."""

    def engine(alone_s: float, together_s: float) -> Load:
        def run(rows: Array) -> list[Array]:
            time.sleep(alone_s if len(rows) == len(doubling.inputs[0]) else together_s)
            return [2 * rows]

        return lambda *_: run

    loaded = fastest({"alone": engine(0.020, 0.2), "together": engine(0.022, 0.02)}, doubling)

    assert loaded is not None
    assert loaded.engine == "together"


def test_nothing_is_taken_where_all_fail(doubling: Network, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asked has torch for that; the log says why."""
    assert fastest({"broken": broken, "wrong": times(-2)}, doubling) is None
    assert "an operator is missing" in caplog.text and "cosine" in caplog.text


def test_int8_kernels_are_done_without_where_they_disagree(doubling: Network) -> None:
    """The same engine is tried again without them; where they agree it is not."""
    without = {"openvino-f32-unquantised": times(2), "onnxruntime-unquantised": broken}

    instead = fastest({"openvino-f32": times(-2)} | without, doubling)
    direct = fastest({"openvino-f32": times(2, 0.01)} | without, doubling)

    assert instead is not None and direct is not None
    assert (instead.engine, set(instead.refused)) == ("openvino-f32-unquantised", {"openvino-f32"})
    assert (direct.engine, dict(direct.refused)) == ("openvino-f32", {})


@pytest.mark.parametrize(("tolerance", "agrees"), [(None, True), (0.1, True), (0.001, False)])
def test_numbers_that_are_ranked_must_be_near(doubling: Network, tolerance: float | None, agrees: bool) -> None:
    """The right direction is not enough where small differences decide."""
    loaded = fastest({"near": times(2.02)}, replace(doubling, tolerance=tolerance))

    assert (loaded is not None) == agrees


@pytest.mark.parametrize(("off", "agrees"), [(0.02, True), (0.04, False)])
def test_a_start_allows_half_of_what_is_promised(doubling: Network, off: float, agrees: bool) -> None:
    """A cosine of 0.9998 is taken, one of 0.9992 is not: other inputs would be below 0.999."""

    def run(rows: Array) -> list[Array]:
        return [2 * (rows + off * np.roll(rows, 1, 1))]

    assert (fastest({"near": lambda *_: run}, doubling) is not None) == agrees


@pytest.mark.parametrize("factor", [2.0, -2.0])
def test_what_is_exported_is_compared_with_the_network(tmp_path: Path, factor: float) -> None:
    """A lean form runs in an engine in the network's place, but not where it gives something else."""
    network, lean = nn.Linear(3, 3).eval(), nn.Linear(3, 3).eval()
    lean.load_state_dict({name: factor * tensor for name, tensor in network.state_dict().items()})
    program = Program("line", network, (torch.eye(3),), ((0,),), lean=lean)

    loaded = Engines(only="onnxruntime").load(export(program, tmp_path))

    if factor < 0:
        assert loaded is None
    else:
        assert loaded is not None
        found, expected = loaded.run(np.eye(3, dtype=np.float32))[0], network(torch.eye(3)).detach().numpy()
        assert np.allclose(found, 2 * expected, atol=1e-5)


def test_a_program_that_no_engine_takes_is_an_error() -> None:
    """Training, which has no export to go back to, is told so."""
    program = Program("doubling", Doubling(), (torch.eye(3),), ((0,),), lean=nn.Flatten(0))

    with pytest.raises(ModelError, match="No engine can run doubling"):
        load_in_fastest(program, Engines(only="onnxruntime"))


def test_a_choice_is_remembered_for_its_model(line: Network, tmp_path: Path) -> None:
    """The second start reads what the first has kept; another model gets a choice of its own."""
    engines = Engines(tmp_path / "kept")
    shutil.copytree(line.folder, tmp_path / "line-2")
    another = Network.open(tmp_path / "line-2", "line")
    assert not engines.has_chosen(line)

    first = engines.load(line)
    kept = files_in(tmp_path / "kept")
    second = engines.load(line)

    assert first is not None and second is not None
    assert files_in(tmp_path / "kept") == kept
    assert len(choices_in(tmp_path / "kept")) == 1
    assert (second.engine, list(second.seconds), second.refused) == (first.engine, list(first.seconds), first.refused)
    assert {folder.name for folder in (tmp_path / "kept" / "choices").glob("*/*")} <= {first.engine}  # what it compiled
    assert (engines.has_chosen(line), engines.has_chosen(another)) == (True, False)
    engines.load(another)
    assert len(choices_in(tmp_path / "kept")) == 2


def test_a_choice_belongs_to_streams_and_ceilings(
    line: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compiled for several streams is kept apart; with fewer instructions another engine may be the fastest."""
    Engines(tmp_path, threads=2).load(line)

    assert Engines(tmp_path, threads=2).has_chosen(line)
    assert not Engines(tmp_path, threads=2, streams=2).has_chosen(line)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert not Engines(tmp_path, threads=2).has_chosen(line)


def test_several_streams_take_the_engine_of_one(line: Network, tmp_path: Path) -> None:
    """It is not looked for again: every first start would wait for it."""
    Engines(tmp_path, threads=2).load(line)
    (kept,) = choices_in(tmp_path)
    kept.write_text('{"engine": "onnxruntime", "batches": {"1": 1.0}, "refused": {}}')

    loaded = Engines(tmp_path, threads=2, streams=2).load(line)

    assert loaded is not None
    assert loaded.engine == "onnxruntime"
    assert Engines(tmp_path, threads=2, streams=2).has_chosen(line)


def test_an_engine_that_is_asked_for_changes_no_choice(line: Network, tmp_path: Path) -> None:
    """It is used, and who does not ask for one gets the fastest as before."""
    loaded = Engines(tmp_path, only="onnxruntime").load(line)

    assert loaded is not None and loaded.engine == "onnxruntime"
    assert choices_in(tmp_path) == []
    assert Engines(tmp_path, only="onnxruntime").has_chosen(line)


def test_a_folder_that_cannot_be_made_is_no_obstacle(line: Network, tmp_path: Path) -> None:
    """Without a place to keep anything the network runs all the same."""
    (tmp_path / "file").write_text("in the way")

    loaded = Engines(tmp_path / "file" / "kept").load(line)

    assert loaded is not None
    assert loaded.run(np.zeros((3, 4), dtype=np.float32))[0].shape == (3, 2)


def test_what_cannot_be_kept_is_no_obstacle(line: Network, tmp_path: Path) -> None:
    """On a full disk, or in somebody else's folder, the choice is made all the same."""
    Engines(tmp_path).load(line)
    (file,) = choices_in(tmp_path)
    file.unlink()
    file.mkdir()  # so that no file can get this name

    assert Engines(tmp_path).load(line) is not None
    assert list(tmp_path.rglob(".*")) == []


@pytest.mark.parametrize(
    "kept",
    ['{"engine": "onnxruntime"}', '{"engine": "onnx', '{"engine": "gone", "batches": {}, "refused": {}}'],
    ids=["of an earlier version", "half of it", "another engine"],
)
def test_a_choice_that_cannot_be_read_is_made_anew(line: Network, tmp_path: Path, kept: str) -> None:
    """What an earlier version kept, half of a file, or an engine that is installed no more."""
    Engines(tmp_path).load(line)
    (file,) = choices_in(tmp_path)
    file.write_text(kept)

    assert Engines(tmp_path).load(line) is not None
    assert {"engine", "batches", "refused"} == set(json.loads(file.read_text()))


_WITHOUT_OPENVINO = """
import sys
from pathlib import Path
from imagetext.engines import Engines, Network
sys.modules["openvino"] = None  # installed, but its library does not load
print(Engines().load(Network.open(Path(sys.argv[1]), "line")).engine)
"""


def test_an_engine_that_does_not_load_is_no_obstacle(line: Network) -> None:
    """A library that is installed, but is not for this processor."""
    command = [sys.executable, "-c", _WITHOUT_OPENVINO, line.folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stdout.startswith("onnxruntime"), done.stderr


_START = """
import logging, sys
from pathlib import Path
from imagetext.engines import Engines, Network
logging.basicConfig(level=logging.INFO)
loaded = Engines(Path(sys.argv[1])).load(Network.open(Path(sys.argv[2]), "line"))
print(loaded.engine, "torch" in sys.modules)
"""


def test_replicas_that_start_together_share_one_choice(line: Network, tmp_path: Path) -> None:
    """One measures, the other waits and takes what it has found; neither needs torch, and no half of a file stays."""
    command = [sys.executable, "-c", _START, tmp_path, line.folder]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [start.communicate() for start in starts]

    assert [start.returncode for start in starts] == [0, 0]
    (file,) = choices_in(tmp_path)
    assert {answer for answer, _ in said} == {f"{json.loads(file.read_text())['engine']} False\n"}
    assert "".join(log for _, log in said).count("line of line-1 runs in") == 1


def test_sizes_of_batches_are_measured_once(line: Network, tmp_path: Path) -> None:
    """A first start measures batches of several sizes, as many as there is time for; the next one knows them."""
    first, second = Engines(tmp_path).load(line), Engines(tmp_path).load(line)

    assert first is not None and second is not None
    assert list(first.seconds) == [1, *SIZES][: len(first.seconds)]
    assert all(took > 0 for took in first.seconds.values())
    assert list(second.seconds) == list(first.seconds)


@pytest.mark.parametrize("engine", ["openvino-f32", "onnxruntime", "torch"])
def test_calls_at_once_do_not_mix(engine: str, tmp_path: Path) -> None:
    """Two threads at once, each call with numbers of its own, and no answer is written over by a later one."""
    torch.manual_seed(0)
    layer = nn.Linear(64, 64).eval()
    network = export(Program("layer", layer, (torch.randn(1, 64),), ((0,),)), tmp_path)
    loaded = None if engine == "torch" else Engines(only=engine, streams=2).load(network)
    run = run_in_torch(layer) if loaded is None else loaded.run
    weight, bias = (tensor.detach().numpy() for tensor in (layer.weight, layer.bias))

    def ask(seed: int) -> bool:
        random = np.random.default_rng(seed)
        answers = []
        for size in (1, 5, 40) * 10:
            rows = random.standard_normal((size, 64), dtype=np.float32)
            answers.append((run(rows)[0], rows @ weight.T + bias))
        return all(np.allclose(found, expected, atol=1e-4) for found, expected in answers)

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(ask, range(6)))


def test_an_unknown_engine_is_refused(line: Network) -> None:
    """A misspelt engine is an error that names those that there are."""
    with pytest.raises(InvalidParameter, match="openvino-f32"):
        Engines(only="openvyno").load(line)
