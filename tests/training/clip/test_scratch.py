"""Real runs of the training from scratch, on pictures of colours."""

from pathlib import Path

import numpy as np
import torch

from imagetext.models.captioner.vocabulary import PAD, START, UNKNOWN
from imagetext.models.encoder.engine import load_encoder
from imagetext.pictures import open_picture
from tests.training.clip.test_tune import interrupt_when
from training.clip.__main__ import main
from training.clip.scratch import SETTINGS, ScratchConfig, dropped, shortened
from training.dataset import read_split
from training.loop import read_config

CONFIGURATION = """
size = 16
stored = 24
min_count = 1
text_width = 32
dimensions = 16
first_width = 8
blocks = 1
picture_dropout = 0.0
word_dropout = 0.0
smallest_crop = 0.9
jitter = 0.1
epochs = 6
batch = 12
learning_rate = 1e-2
average = 0.9
score_every = 3
"""


def arguments(colours: Path, folder: Path, configuration: str = CONFIGURATION) -> list[str]:
    folder.mkdir()
    (folder / "scratch.toml").write_text(configuration)
    paths = {"photos": colours, "out": folder / "model", "work": folder / "work", "cache": folder / "cache"}
    found = ["scratch", "--config", str(folder / "scratch.toml")]
    return [*found, *(word for name, path in paths.items() for word in (f"--{name}", str(path)))]


def test_a_run_interrupted_and_resumed_is_the_undisturbed_one(colours: Path, tmp_path: Path) -> None:
    """A run stopped after its first pass ends with the same folder, bit for bit."""
    long = CONFIGURATION.replace("epochs = 6", "epochs = 20")
    undisturbed, stopped = arguments(colours, tmp_path / "one", long), arguments(colours, tmp_path / "two", long)

    assert main(undisturbed) == 0
    waiting = interrupt_when(tmp_path / "two" / "work" / "scratch.pt")
    assert main(stopped) == 1
    waiting.join()
    assert main(stopped) == 0

    one, two = ((tmp_path / run / "model" / "model.safetensors").read_bytes() for run in ("one", "two"))
    assert one == two


def test_a_run_learns_and_loads(colours: Path, tmp_path: Path) -> None:
    """From random weights the loaded model finds most of the pictures that it was trained on by their captions."""
    run = arguments(colours, tmp_path / "run", CONFIGURATION.replace("epochs = 6", "epochs = 60"))

    assert main(run) == 0

    encoder = load_encoder(tmp_path / "run" / "model")
    pictures = read_split(colours, "train")
    seen = encoder.encode_pictures([encoder.prepare(open_picture(one.path)) for one in pictures])
    read = encoder.encode_texts([one.captions[0] for one in pictures])
    assert ((read @ seen.T).argmax(1) == np.arange(len(pictures))).sum() >= len(pictures) * 2 / 3
    assert "text_to_picture_r10" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_dropped_words_are_unknown_and_no_others() -> None:
    """Start and padding stay; about the given share of the words is lost."""
    words = torch.tensor([[START, 7, 8, 9, PAD]] * 500)

    lost = dropped(words, 0.5)

    assert (lost[:, 0] == START).all() and (lost[:, 4] == PAD).all()
    assert 0.4 < float((lost[:, 1:4] == UNKNOWN).float().mean()) < 0.6
    assert shortened(words).shape == (500, 4)


def test_shipped_configuration_is_the_default() -> None:
    """The file that explains the keys and the class that defines them agree."""
    assert read_config(ScratchConfig, SETTINGS) == ScratchConfig()
