"""The network in integers on processors with fewer instructions, which ceilings make of this one."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from imagetext.engines import Network
from imagetext.models.backbone import Backbone
from tests.without_torch.environment import ROOT

AVX512 = ("avx512f", "avx512bw", "avx512vl", "avx512dq")


@dataclass(frozen=True)
class Ceiling:
    """An environment that hides the instructions above a set; `needs` are this set's, as Linux calls them."""

    variables: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    of_torch: bool = False

    def __str__(self) -> str:
        return " ".join(self.variables.values()) or "none"


def for_engines(name: str, *needs: str) -> Ceiling:
    return Ceiling({"ONEDNN_MAX_CPU_ISA": name}, needs)


def for_torch(name: str, *needs: str) -> Ceiling:
    return Ceiling({"ATEN_CPU_CAPABILITY": name}, needs, of_torch=True)


CEILINGS = [
    Ceiling(),
    for_engines("AVX2", "avx2"),
    for_engines("AVX2_VNNI", "avx2", "avx_vnni"),
    for_engines("AVX512_CORE", *AVX512),
    for_engines("AVX512_CORE_VNNI", *AVX512, "avx512_vnni"),
    for_engines("AVX512_CORE_AMX", *AVX512, "avx512_vnni", "amx_int8"),
    for_torch("avx2", "avx2"),
    for_torch("avx512", *AVX512),
]

_CHOOSE = """
import sys
from pathlib import Path
import numpy as np
from imagetext.engines import Engines, Network

folder, given, out = map(Path, sys.argv[1:4])
if len(sys.argv) > 4:  # the network itself: torch says once more what is expected
    import torch
    from imagetext.engines.export import export
    from imagetext.engines.export import Program

    module, example = torch.load(sys.argv[4], weights_only=False)
    folder.mkdir()
    export(Program("integers", module, (example,), ((0,),)), folder)
loaded = Engines().load(Network.open(folder, "integers"))
np.save(out, loaded.run(np.load(given))[0])
print(loaded.engine, *loaded.refused)
"""


class Runs:
    """What the chosen engine gives under each ceiling, found once."""

    def __init__(self, network: Network, module: Backbone, folder: Path, unseen: Tensor) -> None:
        self.network, self.folder = network, folder
        self.found: dict[str, tuple[list[str], np.ndarray]] = {}
        self.given, self.module = folder / "given.npy", folder / "module.pt"
        np.save(self.given, unseen.numpy())
        torch.save((module, torch.from_numpy(network.inputs[0])), self.module)
        with torch.inference_mode():
            self.expected = module(unseen).numpy()

    def __call__(self, ceiling: Ceiling) -> tuple[list[str], np.ndarray]:
        """Which engine was chosen, followed by those that were refused, and what it gives."""
        name = str(ceiling)
        if name not in self.found:
            folder = self.folder / f"integers-{name}" if ceiling.of_torch else self.network.folder
            out = self.folder / f"{name}.npy"
            command = [sys.executable, "-c", _CHOOSE, str(folder), str(self.given), str(out)]
            command += [str(self.module)] * ceiling.of_torch
            environment = os.environ | ceiling.variables
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            self.found[name] = done.stdout.split(), np.load(out)
        return self.found[name]


@pytest.fixture(scope="module")
def runs(
    integers: Backbone,
    exported_integers: Network,
    pictures: Callable[[int, int], Tensor],
    tmp_path_factory: pytest.TempPathFactory,
) -> Runs:
    return Runs(exported_integers, integers, tmp_path_factory.mktemp("ceilings"), pictures(3, 7))


def instructions() -> set[str]:
    """Those of this processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def missing(ceiling: Ceiling) -> list[str]:
    return sorted(set(ceiling.needs) - instructions())


def cosine(found: np.ndarray, expected: np.ndarray) -> float:
    """The lowest of all examples."""
    found, expected = (each.reshape(len(each), -1).astype(np.float64) for each in (found, expected))
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(1) / lengths).min())


@pytest.mark.parametrize("ceiling", CEILINGS, ids=str)
def test_int8_kernels_agree_under_every_ceiling(ceiling: Ceiling, runs: Runs) -> None:
    """An engine with int8 kernels is chosen, none of them is refused, and its numbers are torch's."""
    if absent := missing(ceiling):
        pytest.skip(f"this processor is below {ceiling}: it has no {', '.join(absent)}")

    (engine, *refused), found = runs(ceiling)

    assert engine in ("openvino-f32", "openvino-bf16", "onnxruntime")
    assert not {"openvino-f32", "onnxruntime"} & set(refused)
    assert found.shape == runs.expected.shape
    assert cosine(found, runs.expected) > 0.9999


def test_all_ceilings_agree(runs: Runs) -> None:
    """A picture that was indexed on one machine is found on another."""
    vectors = [runs(ceiling)[1] for ceiling in CEILINGS if not missing(ceiling)]

    assert min(cosine(one, other) for one in vectors for other in vectors) > 0.9999
