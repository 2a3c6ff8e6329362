"""Tiny real runs of both trainings, on drawn scenes."""

import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import torch

from imagetext.models.backbone import EFFICIENTNET_LITE0
from imagetext.models.captioner.engine import DecodingOptions, load_captioner
from imagetext.models.encoder.engine import load_encoder
from imagetext.pictures import open_picture
from imagetext.wire.errors import InvalidParameter
from tests.training.launching import launch
from training.quantize import main as quantize
from training.tuning import starting_backbone, starting_encoder

ROOT = Path(__file__).resolve().parents[2]

CAPTIONER = """
min_count = 2
views = 2
epochs = 3
reward_epochs = 1
samples = 2
batch = 8
"""
ARCHITECTURES = {
    "gru-attention": "width = 32\nattention_width = 16\n",
    "vit-bert": 'picture_from = ""\nteacher = ""\nencoder_layers = 1\ndecoder_layers = 1\n',
}
RETRIEVAL = """
picture_from = ""
hidden = 32
dimensions = 16
views = 2
head_epochs = 30
head_batch = 16
epochs = 2
batch = 8
text_layers = 1
"""
AGAIN = """
start = "{start}"
views = 2
epochs = 1
batch = 8
text_layers = 1
blend = 0.0
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    arguments = ["--out", str(folder), "--number", "24", "--seed", "5", "--split", "--dev", "8"]
    subprocess.run([sys.executable, "-m", "gallery", *arguments], cwd=ROOT, check=True)
    return folder


class Training:
    """One run with its folders."""

    def __init__(self, kind: tuple[str, ...], config: str, scenes: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "run.toml").write_text(config)
        self.out, self.work = folder / "model", folder / "work"
        self.module, *arguments = kind
        self.arguments = [*arguments, "--photos", str(scenes), "--out", str(self.out)]
        self.arguments += ["--config", str(folder / "run.toml"), "--work", str(self.work)]
        self.arguments += ["--cache", str(scenes / "cache")]

    def start(self) -> "subprocess.Popen[bytes]":
        """In a process of its own, which can be killed."""
        command = [sys.executable, "-m", self.module, *self.arguments]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def run(self) -> None:
        """In this process: another one would need seconds to import what is here already."""
        import_module(self.module).main(self.arguments)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_captioner_killed_and_resumed_is_the_undisturbed_one(architecture: str, scenes: Path, tmp_path: Path) -> None:
    """A run killed after its first pass ends with the same weights, bit for bit, and the model captions."""
    kind, config = ("training.captioner", architecture), CAPTIONER + ARCHITECTURES[architecture]
    undisturbed = Training(kind, config, scenes, tmp_path / "one")
    killed = Training(kind, config, scenes, tmp_path / "two")

    undisturbed.run()
    process = killed.start()
    while not (killed.work / "cross-entropy.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    killed.run()

    weights = [(run.out / "model.safetensors").read_bytes() for run in (undisturbed, killed)]
    assert weights[0] == weights[1]
    assert caption(killed.out, scenes)
    integers = quantized(killed.out, scenes, tmp_path / "integers")
    assert caption(integers, scenes)
    assert "## Int8" in (integers / "README.md").read_text()
    with pytest.raises(InvalidParameter, match="in int8"):
        starting_backbone(EFFICIENTNET_LITE0, str(integers))


def quantized(model: Path, scenes: Path, folder: Path) -> Path:
    assert quantize(["--photos", str(scenes), "--model", str(model), "--out", str(folder)]) == 0
    return folder


def caption(model: Path, scenes: Path) -> str:
    captioner = load_captioner(model)
    picture = captioner.prepare(open_picture(scenes / "Images" / "scene-000001.jpg"))
    return captioner.caption([picture], DecodingOptions())[0][0].text


def test_two_processes_train_one_captioner(scenes: Path, tmp_path: Path) -> None:
    """Both end with the same weights, also where a batch is one picture; one of them wrote the log and the model."""
    config = CAPTIONER.replace("batch = 8", "batch = 5") + ARCHITECTURES["gru-attention"]
    (tmp_path / "run.toml").write_text(config)

    launch(2, "tests.training.trained_together", tmp_path / "run.toml", scenes, tmp_path)

    first, second = (torch.load(tmp_path / f"{index}.pt") for index in (0, 1))
    for mine, other in zip(first, second, strict=True):
        assert all(torch.equal(mine[name], other[name]) for name in mine)
    log = (tmp_path / "work" / "log.jsonl").read_text().splitlines()
    assert len(log) == 3 + 1
    assert caption(tmp_path / "model", scenes)


def test_retrieval_run_learns_and_loads(scenes: Path, tmp_path: Path) -> None:
    """After a few passes over sixteen scenes the loaded model finds most of them by their sentences.

    A second run goes on from the first one's model without training heads, and tries four blends with it. In integers
    that one still finds them, and is not trained further.
    """
    run = Training(("training.retrieval",), RETRIEVAL, scenes, tmp_path / "run")

    run.run()

    assert found_among_sixteen(run.out, scenes) >= 8
    assert "R" in (run.out / "README.md").read_text()

    again = Training(("training.retrieval",), AGAIN.format(start=run.out), scenes, tmp_path / "again")
    again.run()

    assert found_among_sixteen(again.out, scenes) >= 8
    records = [json.loads(line) for line in (again.work / "log.jsonl").read_text().splitlines()]
    assert [record["phase"] for record in records] == ["towers", *["blend"] * 4]

    integers = quantized(again.out, scenes, tmp_path / "integers")
    assert found_among_sixteen(integers, scenes) >= 8
    assert "## Int8" in (integers / "README.md").read_text()
    with pytest.raises(InvalidParameter, match="in int8"):
        starting_encoder(str(integers))


def found_among_sixteen(folder: Path, scenes: Path) -> int:
    """How many scenes of the train split their own sentence finds first."""
    encoder = load_encoder(folder)
    lines = (scenes / "captions.token.txt").read_text().splitlines()
    sentences = dict(line.split("\t") for line in lines)
    names = [f"scene-{number:06}.jpg" for number in range(1, 17)]
    pictures = encoder.encode_pictures([encoder.prepare(open_picture(scenes / "Images" / name)) for name in names])
    texts = encoder.encode_texts([sentences[f"{name}#0"] for name in names])
    found = (texts @ pictures.T).argmax(1)
    return int(sum(found == range(16)))
