"""`build --labels`: the model's names for what is in a picture are tags, for which no picture is encoded again."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from gallery.writer import Order, write_gallery
from imagetext.index import current_version
from imagetext.models.encoder.calibration import Labels
from imagetext.models.encoder.engine import load_encoder
from imagetext.pictures import open_picture
from imagetext.wire.captions import LABEL_PROMPT
from imagetext.wire.errors import InvalidParameter
from imagetext.wire.search_filter import SearchFilter
from indexer.__main__ import main
from indexer.build import build
from indexer.descriptions import Description, Descriptions
from indexer.label_tags import Labeller
from tests.indexer.conftest import open_current
from tests.indexer.fake_encoder import FakeEncoder
from tests.indexer.test_descriptions import FakeCaptioner
from tests.indexer.test_merging import Api

COLOURS = {"red": (250, 20, 20), "green": (20, 250, 20), "blue": (20, 20, 250)}


class ColourEncoder(FakeEncoder):
    """Its labels are colours: a name's vector is that of a picture all in this colour."""

    labels = Labels(("red", "green", "blue", "red"), 8.0)

    def encode_texts(self, texts):
        self.texts += texts
        names = [next(name for name in COLOURS if LABEL_PROMPT.format(name) == text) for text in texts]
        pictures = [Image.new("RGB", (8, 8), COLOURS[name]) for name in names]
        return FakeEncoder().encode_pictures([self.prepare(picture) for picture in pictures])


def paint(path: Path, colour: str, darker: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10), tuple(max(0, part - darker) for part in COLOURS[colour])).save(path)


def run(images: Path, index: Path, *options: object, encoder: FakeEncoder | None = None) -> int:
    arguments = ["build", "--images", images, "--index", index, *options]
    return main(
        list(map(str, arguments)),
        load=lambda _: encoder or ColourEncoder(),
        load_captioner=lambda _: FakeCaptioner(),
    )


def tags(index: Path) -> dict[str, tuple[str, ...]]:
    with closing(open_current(index)) as reader:
        return {row.path: row.tags for row in reader.rows()}


@pytest.fixture
def painted(images: Path) -> Path:
    """A picture of each colour."""
    for colour in COLOURS:
        paint(images / f"{colour}.png", colour)
    return images


def test_labels_are_tags(painted, index, capsys):
    """Filters and words find them, and the summary counts them; names are encoded once."""
    encoder = ColourEncoder()
    assert run(painted, index, "--labels", "--json", encoder=encoder) == 0

    assert json.loads(capsys.readouterr().out)["labelled"] == 3
    assert tags(index) == {"blue.png": ("blue",), "green.png": ("green",), "red.png": ("red",)}
    assert encoder.texts == ["a photo of a red", "a photo of a green", "a photo of a blue"]
    with closing(open_current(index)) as reader:
        assert reader.matching(SearchFilter(tags=["Green"])).tolist() == [1]
        assert reader.ranked_by_words("blue", 5).tolist() == [0]


def test_the_option_may_come_and_go(painted, index, tmp_path, capsys):
    """Each build has the labels that it is asked for, beside the own tags of the pictures; nothing is encoded again."""
    (tmp_path / "tags.jsonl").write_text('{"path": "red.png", "tags": ["rose", "Red"]}\n')
    encoder = ColourEncoder()
    run(painted, index, "--metadata", tmp_path / "tags.jsonl", encoder=encoder)
    own = tags(index)
    encoded = list(encoder.batches)
    assert own == {"blue.png": (), "green.png": (), "red.png": ("rose", "Red")}

    for options, expected in [
        (["--labels"], own | {"blue.png": ("blue",), "green.png": ("green",)}),
        (["--labels", "1", "--label-threshold", "1"], own),
        (["--labels"], own | {"blue.png": ("blue",), "green.png": ("green",)}),
        ([], own),
    ]:
        capsys.readouterr()
        for changed in (True, False):
            run(painted, index, "--json", *options, encoder=encoder)
            assert json.loads(capsys.readouterr().out)["changed"] is changed
            assert tags(index) == expected
    assert encoder.batches == encoded


def test_only_new_pictures_are_encoded(painted, index):
    """Also where a file was moved, copied or replaced: labels are those of the content."""
    run(painted, index, "--labels")
    encoder = ColourEncoder()
    (painted / "red.png").rename(painted / "moved.png")
    (painted / "copy.png").write_bytes((painted / "blue.png").read_bytes())
    paint(painted / "green.png", "red", darker=9)
    run(painted, index, "--labels", encoder=encoder)

    assert encoder.batches == [1]
    assert tags(index) == {"blue.png": ("blue",), "copy.png": ("blue",), "green.png": ("red",), "moved.png": ("red",)}


def test_a_label_that_becomes_an_own_tag_stays(painted, index):
    """Given later, it is the picture's own, though the tags read the same; without labels it is still there."""
    given = Descriptions({"red.png": Description(tags=("red",))})
    encoder = ColourEncoder()
    build(painted, index, encoder, descriptions=Descriptions(labeller=Labeller(encoder)))
    second = build(painted, index, encoder, descriptions=replace(given, labeller=Labeller(encoder)))
    build(painted, index, encoder)

    assert (second.changed, second.labelled) == (True, 2)
    assert tags(index) == {"blue.png": (), "green.png": (), "red.png": ("red",)}


def test_added_pictures_get_labels_when_they_are_merged(painted, index, tmp_path):
    """From the vector that came through the API; their own tags are kept, and captions are made as ever."""

    build(painted, index, ColourEncoder())
    api = Api(tmp_path, index)
    api.add("added.png", 5)
    api.delete("green.png")
    for labels in (["--labels", "3", "--label-threshold", "0.01"], []):
        encoder = ColourEncoder()
        run(painted, index, *labels, "--captions", "some/model", encoder=encoder)
        found = tags(index)

        assert encoder.batches == []
        assert found.keys() == {"added.png", "blue.png", "red.png"}
        assert bool(found["added.png"]) is bool(found["red.png"]) is bool(labels)
    with closing(open_current(index)) as reader:
        assert [bool(row.captions) for row in reader.rows()] == [True, True, True]


def test_a_collection_keeps_labels_apart(painted, index, tmp_path, capsys):
    """Exported and imported, a version still knows which tags came from labels."""
    run(painted, index, "--labels")
    shared = ["--json", "--index"]
    assert main(["export", *shared, str(index), "--out", str(tmp_path / "out")]) == 0
    there = ["import", *shared, str(tmp_path / "other"), "--from", str(tmp_path / "out"), "--model", "any"]
    assert main(there, load=lambda _: ColourEncoder()) == 0
    assert tags(tmp_path / "other") == tags(index)
    run(painted, tmp_path / "other")

    assert set(tags(tmp_path / "other").values()) == {()}


def test_a_model_without_labels_is_refused(painted, index, capsys):
    """In one sentence, and there is no version."""
    assert run(painted, index, "--labels", encoder=FakeEncoder()) == 1
    assert capsys.readouterr().err == "--labels needs a model with labels of its own; fake has none.\n"
    assert current_version(index) is None
    with pytest.raises(InvalidParameter):
        Labeller(FakeEncoder())


@pytest.mark.parametrize(
    "options", [["--labels", "0"], ["--labels", "many"], ["--label-threshold", "0"], ["--label-threshold", "nan"]]
)
def test_options_out_of_range_are_refused(painted, index, options, capsys):
    """By the command line, which says what is allowed."""
    with pytest.raises(SystemExit):
        run(painted, index, *options)
    assert "must be" in capsys.readouterr().err


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gallery")
    assert list(write_gallery(out, Order(number=4, seed=3), processes=1))
    return out / "Images"


def test_the_shipped_model_labels_drawn_scenes(scenes, models, index):
    """The tags are the names that its vectors come nearest to, as POST /v1/labels compares names that are given."""
    encoder = load_encoder(models / "retrieval")
    encoder.labels = replace(encoder.labels, names=encoder.labels.names[150:210])  # dogs; fewer are faster
    threshold = 0.02
    labeller = Labeller(encoder, 3, threshold)
    build(scenes, index, encoder, descriptions=Descriptions(labeller=labeller))
    names = list(dict.fromkeys(encoder.labels.names))
    texts = encoder.encode_texts([LABEL_PROMPT.replace("{}", name) for name in names])

    found = tags(index)
    for path, labels in found.items():
        vector = encoder.encode_pictures([encoder.prepare(open_picture(scenes / path))])[0]
        likeliest = encoder.labels.among(vector, names, texts, 3)
        assert labels == tuple(name for name, probability in likeliest if probability >= threshold)
    assert any(found.values())
