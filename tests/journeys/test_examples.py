"""The examples that the page and README offer, on the sample gallery that `make run` draws."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from imagetext.engines import Engines
from imagetext.index import IndexReader, current_version, version_folder
from imagetext.models.encoder.engine import Encoder, load_encoder
from tests.journeys.conftest import ROOT, run_module

# What the true sentence of the first hit must say.
TRUE = {
    "two dogs running through the snow": r"[Tt]wo .*dogs .*snow",
    "a red bus on a road": r"red bus",
    "a sailboat at sunset": r"sailboat .*sunset",
    "people skiing": r"\bski",
    "a hot air balloon": r"hot air balloon",
}
GALLERY = ("--number", "300", "--seed", "18")  # as in the Makefile


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(ROOT / "models/retrieval", Engines(ROOT / "data/engines"))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    gallery, index = folder / "gallery", folder / "index"
    assert run_module("gallery", "--out", gallery, *GALLERY).returncode == 0
    captions = gallery / "captions.token.txt"
    built = run_module("indexer", "build", "--images", gallery / "Images", "--index", index, "--captions", captions)
    assert built.returncode == 0, built.stderr
    return index


def test_the_examples_are_those_of_the_page_and_readme() -> None:
    """Each example on the page is in the list above, and so is README's search."""
    page = (ROOT / "services/web/static/js/query.js").read_text()
    examples = re.findall(r'"([^"]+)"', re.search(r"EXAMPLES = \[(.*?)\]", page, re.S)[1])  # type: ignore[index]
    readme = re.findall(r'\'\{"text": "([^"]+)", "k"', (ROOT / "README.md").read_text())
    makefile = (ROOT / "Makefile").read_text()

    assert sorted(examples) == sorted(TRUE)
    assert readme and set(readme) <= TRUE.keys()
    assert " ".join(GALLERY) in makefile


@pytest.mark.parametrize("example", TRUE)
def test_an_example_finds_the_right_picture_first(example: str, encoder: Encoder, index: Path) -> None:
    """The first hit shows what was asked for, and the page does not call it a poor match."""
    with closing(IndexReader.open(version_folder(index, str(current_version(index))))) as reader:
        vector = encoder.encode_texts([example])
        scores, rows = reader.search(vector, 1)
        picture = reader.row(rows[0][0])
    [relevance] = encoder.relevance(vector[0], scores[0])

    assert re.search(TRUE[example], picture.captions[0]), picture.captions[0]
    assert relevance >= 0.5
