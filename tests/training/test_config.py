"""Run configurations in TOML."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from imagetext.wire.errors import InvalidParameter
from training.captioner import GruConfig, VitBertConfig
from training.loop import read_config
from training.retrieval import RetrievalConfig

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Small:
    epochs: int = 1
    rate: float = 0.5


def write(folder: Path, text: str) -> Path:
    file = folder / "run.toml"
    file.write_text(text)
    return file


def test_values_come_from_the_file_and_the_rest_from_defaults(tmp_path: Path) -> None:
    """A whole number may stand where a fraction is meant."""
    assert read_config(Small, write(tmp_path, "rate = 2")) == Small(epochs=1, rate=2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("epoch = 3", "unknown keys: epoch"), ("epochs = 'many'", "must be of type int"), ("epochs =", "not a readable")],
)
def test_mistakes_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """An unknown key, a wrong type and bad TOML are errors that say so."""
    with pytest.raises(InvalidParameter, match=sentence):
        read_config(Small, write(tmp_path, text))


@pytest.mark.parametrize(
    ("kind", "name"),
    [(GruConfig, "captioner"), (VitBertConfig, "vit_bert"), (RetrievalConfig, "retrieval")],
)
def test_shipped_configurations_are_the_defaults(kind: type, name: str) -> None:
    """The file that explains the keys and the class that defines them agree."""
    assert read_config(kind, ROOT / "training" / f"{name}.toml") == kind()
