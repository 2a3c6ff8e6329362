"""What makes a start quick: models are exported and engines chosen beforehand, once."""

import subprocess
import sys
from pathlib import Path

import pytest

from imagetext.engines import Engines
from imagetext.models.exported import CAPTIONER, exported, name_of
from imagetext.models.prepare import main
from tests.imagetext.captioner.tiny_full_size import tiny_full_size
from tests.imagetext.encoder.tiny_clip import save_tiny_clip
from tests.without_torch.environment import ROOT, without_torch

_PREPARE = """
import sys
from imagetext.models.prepare import main
status = main(sys.argv[1:])
print(status, sorted({"torch", "transformers", "openvino", "onnxruntime", "onnx"} & sys.modules.keys()))
"""


class Preparation:
    """A folder of engines, and two models for it, of which one is also for the indexer."""

    def __init__(self, folder: Path) -> None:
        self.encoder, self.captioner, self.engines = folder / "clip", folder / "writer", folder / "engines"
        save_tiny_clip(self.encoder)
        tiny_full_size().save_pretrained(self.captioner)

    def run(self, *options: str, environment: dict[str, str] | None = None) -> tuple[str, str]:
        """What it says: which heavy modules it has loaded, and what it did."""
        models = [f"encoder:{self.encoder}", f"indexing:{self.encoder}", f"captioner:{self.captioner}"]
        command = [sys.executable, "-c", _PREPARE, *models, "--engines", str(self.engines), *options]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return done.stdout, done.stderr


@pytest.fixture(scope="module")
def exported_only(tmp_path_factory: pytest.TempPathFactory) -> tuple[Preparation, str, str]:
    """After the first run, which an image makes while it is built."""
    preparation = Preparation(tmp_path_factory.mktemp("prepared"))
    return preparation, *preparation.run("--export-only")


@pytest.fixture(scope="module")
def prepared(exported_only: tuple[Preparation, str, str]) -> tuple[Preparation, str, str]:
    """After the second, which chooses engines where torch is not installed."""
    preparation, _, _ = exported_only
    return preparation, *preparation.run(environment=without_torch())


def test_models_are_exported_and_no_engine_is_chosen(exported_only: tuple[Preparation, str, str]) -> None:
    """It says which models it exports, and leaves torch to a process that has ended."""
    preparation, loaded, said = exported_only

    assert loaded == "0 []\n", said
    for model in (preparation.encoder, preparation.captioner):
        assert f"Exporting {model} " in said
        assert (preparation.engines / str(name_of(model)) / "model.json").is_file()
    assert "Choosing" not in said
    assert len(list(preparation.engines.iterdir())) == 2


def test_engines_are_chosen_for_every_network(prepared: tuple[Preparation, str, str]) -> None:
    """It says for which network, and what it took; the indexer's are chosen apart, for pictures alone."""
    preparation, loaded, said = prepared
    networks = [("pictures", preparation.encoder)] * 2 + [("texts", preparation.encoder)]
    networks += [("encoder", preparation.captioner), ("decoder-step", preparation.captioner)]

    assert loaded.startswith("0 ") and "torch" not in loaded, said
    assert "Exporting" not in said
    lines = [line for line in said.splitlines() if line.startswith("Choosing")]
    assert sorted(line.split(": ")[1].split(" ... ")[0] for line in lines) == sorted(
        f"{name} of {model}" for name, model in networks
    )
    assert [f"({number}/5)" in line and line.endswith(" ms") for number, line in enumerate(lines, 1)] == [True] * 5
    model = exported(CAPTIONER, preparation.captioner, Engines(preparation.engines))
    assert model.source == str(preparation.captioner)


def test_a_second_time_nothing_is_left_to_do(prepared: tuple[Preparation, str, str]) -> None:
    """No engine is even imported, and no file written."""
    preparation, _, _ = prepared
    written = {file: file.stat().st_mtime_ns for file in preparation.engines.rglob("*")}

    loaded, said = preparation.run()

    assert loaded == "0 []\n", said
    assert "Exporting" not in said and "Choosing" not in said
    assert {file: file.stat().st_mtime_ns for file in preparation.engines.rglob("*")} == written


def test_a_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a sentence, with the status 1, before anything is exported."""
    save_tiny_clip(tmp_path / "clip")
    models = [f"encoder:{tmp_path / 'clip'}", f"captioner:{tmp_path / 'nowhere'}"]
    capsys.readouterr()

    assert main([*models, "--engines", str(tmp_path / "engines")]) == 1
    assert capsys.readouterr().err == f"There is no model folder {tmp_path / 'nowhere'}.\n"
    assert not (tmp_path / "engines").exists()


@pytest.mark.parametrize("model", ["models/retrieval", "painter:models/retrieval", "encoder:"])
def test_a_model_without_its_kind_is_refused(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command line itself, which says what it takes."""
    with pytest.raises(SystemExit) as refused:
        main([model])

    assert refused.value.code == 2
    assert "encoder:MODEL" in capsys.readouterr().err
