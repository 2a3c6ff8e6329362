"""Real runs of the fine-tuning, of a tiny CLIP on pictures of colours."""

import json
import signal
import threading
import time
from _thread import interrupt_main
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from imagetext.models.encoder.engine import load_encoder
from imagetext.pictures import open_picture
from imagetext.wire.errors import InvalidParameter
from tests.imagetext.encoder.tiny_clip import save_tiny_clip
from training.clip.__main__ import main
from training.clip.tune import SETTINGS, TuneConfig, require_free
from training.dataset import read_split
from training.loop import read_config

CONFIGURATION = """
epochs = 4
batch = 12
chunk = 5
picture_learning_rate = 2e-3
text_learning_rate = 2e-3
average = 0.9
smallest_crop = 1.0
blend = 1.0
bfloat16 = false
"""


class Tuning:
    """One run with its folders."""

    def __init__(self, start: Path, data: list[str], folder: Path, configuration: str = CONFIGURATION) -> None:
        folder.mkdir()
        (folder / "tune.toml").write_text(configuration)
        self.out, self.work = folder / "model", folder / "work"
        self.arguments = ["tune", "--start", str(start), "--out", str(self.out), "--work", str(self.work)]
        self.arguments += ["--config", str(folder / "tune.toml"), "--device", "cpu"]
        self.arguments += [word for one in data for word in ("--data", one)]

    def run(self) -> int:
        return main(self.arguments)

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.work / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_tiny_clip(tmp_path / "start", layers=2)
    return tmp_path / "start"


def interrupt_when(file: Path) -> threading.Thread:
    """Ctrl-C as soon as the file is there."""
    # A shell starts what runs in the background with Ctrl-C ignored, and then Python leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def wait() -> None:
        while not file.exists():
            time.sleep(0.001)
        interrupt_main()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_run_interrupted_and_resumed_is_the_undisturbed_one(start: Path, colours: Path, tmp_path: Path) -> None:
    """A run stopped after its first pass ends with the same weights, bit for bit."""
    long = CONFIGURATION.replace("epochs = 4", "epochs = 12\npatience = 12")
    undisturbed = Tuning(start, [str(colours)], tmp_path / "one", long)
    stopped = Tuning(start, [str(colours)], tmp_path / "two", long)

    assert undisturbed.run() == 0
    waiting = interrupt_when(stopped.work / "tune.pt")
    assert stopped.run() == 1
    waiting.join()
    done = torch.load(stopped.work / "tune.pt", weights_only=True)["epoch"]
    assert stopped.run() == 0

    assert 1 <= done < 12
    first, second = (load_file(run.out / "model.safetensors") for run in (undisturbed, stopped))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_tuned_folder_is_transformers_own_and_knows_its_pictures(start: Path, colours: Path, tmp_path: Path) -> None:
    """Plain transformers and this project load it alike, and it finds most of the pictures that it was tuned on."""
    long = CONFIGURATION.replace("epochs = 4", "epochs = 60\npatience = 60").replace("2e-3", "5e-3")
    long = long.replace("chunk = 5", "chunk = 24")  # the same gradients in fewer pieces
    run = Tuning(start, [str(colours)], tmp_path / "run", long)

    assert run.run() == 0

    encoder = load_encoder(run.out)
    pictures = read_split(colours, "train")
    seen = encoder.encode_pictures([encoder.prepare(open_picture(one.path)) for one in pictures])
    read = encoder.encode_texts([one.captions[0] for one in pictures])
    found = (read @ seen.T).argmax(1) == np.arange(len(pictures))
    assert found.sum() >= len(pictures) / 2

    model = CLIPModel.from_pretrained(run.out).eval()
    inputs = CLIPImageProcessor.from_pretrained(run.out)(open_picture(pictures[0].path), return_tensors="pt")
    tokens = AutoTokenizer.from_pretrained(run.out)([pictures[0].captions[0]], return_tensors="pt")
    with torch.inference_mode():
        output = model(**tokens, **inputs)
    assert np.allclose(output.text_embeds[0].numpy(), read[0], atol=1e-4)
    assert float(output.image_embeds[0].numpy() @ seen[0]) > 0.98  # its resizing differs a little

    card = (run.out / "README.md").read_text()
    assert (
        "text_to_picture_r1" in card and "colours (weight 1)" in card and str(tmp_path) not in card.split("## Data")[1]
    )


def test_the_log_has_both_directions_and_the_blends(start: Path, colours: Path, tmp_path: Path) -> None:
    """Every pass has recall, median rank and mean average precision both ways; of the blends the best is kept."""
    config = CONFIGURATION.replace("blend = 1.0", "blend = 0.0\npicture_layers = 0\nhardest = 0.5").replace(
        "= 4", "= 2"
    )
    run = Tuning(start, [str(colours), f"{colours}:0.5"], tmp_path / "run", config)

    assert run.run() == 1, "two data sets of one name cannot be told apart in the log"

    run = Tuning(start, [f"{colours}:0.5"], tmp_path / "again", config)
    assert run.run() == 0
    log = run.log()
    assert [line.get("epoch") for line in log[:3]] == [0, 1, 2]
    assert [line["blend"] for line in log[3:]] == [0.25, 0.5, 0.75, 1.0]
    scores = log[1]["dev"]["colours"]
    ways = [
        f"{way}_{what}"
        for way in ("text_to_picture", "picture_to_text")
        for what in ("r1", "r5", "r10", "median_rank", "map")
    ]
    assert set(scores) == set(ways)
    first = load_file(start / "model.safetensors")
    last = torch.load(run.work / "tune.pt", weights_only=True)["parts"]["network"]
    same = {name for name in first if torch.equal(first[name], last[name])}
    assert {name for name in first if name.startswith(("vision_model", "visual_projection"))} <= same
    assert "text_projection.weight" not in same


def test_a_run_that_gets_no_better_ends_early(start: Path, colours: Path, tmp_path: Path) -> None:
    """With a learning rate that moves nothing the run ends after its patience, and keeps the start."""
    config = CONFIGURATION.replace("2e-3", "1e-12").replace("epochs = 4", "epochs = 50\npatience = 2")
    run = Tuning(start, [str(colours)], tmp_path / "run", config)

    assert run.run() == 0

    assert max(line["epoch"] for line in run.log() if "epoch" in line) == 2


def test_a_picture_that_cannot_be_read_is_left_out(start: Path, colours: Path, tmp_path: Path) -> None:
    """One damaged file is counted in the log and stops nothing; one of the dev split stops the run."""
    (colours / "Images" / "red-green.png").write_bytes(b"none")
    run = Tuning(start, [str(colours)], tmp_path / "run", CONFIGURATION.replace("= 4", "= 1"))

    assert run.run() == 0
    assert run.log()[1]["unreadable"] == 1
    (colours / "Images" / "yellow-black.png").write_bytes(b"none")
    assert Tuning(start, [str(colours)], tmp_path / "two").run() == 1


@pytest.mark.parametrize("text", ["layers = 3", "epochs = 'many'", "picture_layers = 7"])
def test_mistakes_in_the_file_are_refused(
    text: str, start: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown key, a wrong type and more layers than there are end the command with one sentence."""
    assert Tuning(start, [str(colours)], tmp_path / "run", text).run() == 1
    assert text.split(" =")[0].split("_")[0] in capsys.readouterr().err


def test_a_folder_that_is_no_model_is_not_written_into(start: Path, colours: Path, tmp_path: Path) -> None:
    """Before the run, not after it."""
    run = Tuning(start, [str(colours)], tmp_path / "run")
    run.out.mkdir()
    (run.out / "thesis.txt").write_text("mine")

    assert run.run() == 1
    assert not run.work.exists()


def test_shipped_configuration_is_the_default() -> None:
    """The file that explains the keys and the class that defines them agree."""
    assert read_config(TuneConfig, SETTINGS) == TuneConfig()


def test_a_folder_of_other_files_is_not_written_into(tmp_path: Path) -> None:
    """Only a new or empty folder, or one with a model's config, is."""
    require_free(tmp_path / "new")
    require_free(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(InvalidParameter, match="model folder"):
        require_free(tmp_path)

    (tmp_path / "config.json").write_text("{}")
    require_free(tmp_path)
