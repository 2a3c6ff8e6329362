"""A data set with its own vectors becomes an index version, and no picture is encoded for it."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from imagetext.index import current_version
from indexer.__main__ import main
from tests.indexer.conftest import open_current
from tests.indexer.fake_encoder import FakeEncoder

DIMENSIONS = 512
NUMBERS = pa.list_(pa.float32())
SCHEMA = pa.schema(
    {
        "caption": pa.string(),
        "image_data": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        "image_embeddings": NUMBERS,
        "text_embeddings": NUMBERS,
    }
)


class WordEncoder(FakeEncoder):
    """Also gives texts vectors: a random direction for each, the same in every process."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(f"words-{seed}", DIMENSIONS)
        self.seed = seed

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.random.default_rng([self.seed, *text.encode()]).standard_normal(DIMENSIONS) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


def rows(number: int) -> list[dict[str, object]]:
    """Rows as the original's data set has them, of the first WordEncoder; their vectors are three units long."""
    made = []
    for row in range(number):
        file = io.BytesIO()
        pixels = np.random.default_rng(row).integers(0, 256, (9, 11, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, "PNG")
        caption = f"picture number\n{row}"
        made.append(
            {
                "caption": caption,
                "image_data": {"bytes": file.getvalue(), "path": None},
                "image_embeddings": (3 * np.eye(DIMENSIONS, dtype=np.float32)[row]).tolist(),
                "text_embeddings": WordEncoder().encode_texts([caption])[0].tolist(),
            }
        )
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Seven rows in two parquet files, as the hub splits them."""
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows(7), SCHEMA)
    pq.write_table(table.slice(0, 4), folder / "train-00000-of-00002.parquet")
    pq.write_table(table.slice(4), folder / "train-00001-of-00002.parquet")
    return folder.parent


def run(source: Path, tmp_path: Path, encoder: FakeEncoder | None = None, *more: str) -> int:
    model = encoder or WordEncoder()
    paths = ["--from", str(source), "--index", str(tmp_path / "index"), "--pictures", str(tmp_path / "pictures")]
    return main(["import-embeddings", *paths, "--model", "any", *more], load=lambda _: model)


def test_vectors_and_pictures_are_those_of_the_data_set(source: Path, tmp_path: Path, capsys) -> None:
    """Row by row, made unit; the pictures lie byte by byte in the folder; the encoder saw none."""
    encoder = WordEncoder()

    assert run(source, tmp_path, encoder, "--json") == 0

    summary = json.loads(capsys.readouterr().out)
    reader = open_current(tmp_path / "index")
    found = reader.rows()
    vectors = np.stack([reader.vector(row.row) for row in found])
    assert (summary["size"], summary["encoded"], encoder.batches) == (7, 0, [])
    assert np.allclose(vectors, np.eye(DIMENSIONS)[:7], atol=1e-6)
    assert [(row.width, row.height) for row in found] == [(11, 9)] * 7
    for row, made in zip(found, rows(7), strict=True):
        assert (tmp_path / "pictures" / "Images" / row.path).read_bytes() == made["image_data"]["bytes"]
    captions = (tmp_path / "pictures" / "captions.token.txt").read_text().splitlines()
    assert captions[3] == "00000003.png#0\tpicture number 3"
    reader.close()


def test_a_build_over_the_pictures_knows_all_vectors(source: Path, tmp_path: Path, capsys) -> None:
    """The version is one like any other: the same model has nothing to encode."""
    encoder = WordEncoder()
    run(source, tmp_path, encoder)
    version = current_version(tmp_path / "index")
    images = str(tmp_path / "pictures" / "Images")

    status = main(
        ["build", "--images", images, "--index", str(tmp_path / "index"), "--model", "any"], load=lambda _: encoder
    )

    assert status == 0
    assert encoder.batches == []
    assert current_version(tmp_path / "index") == version


def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    """Arrow streams below a split's folder, as `save_to_disk` writes them."""
    folder = tmp_path / "saved"
    (folder / "train").mkdir(parents=True)
    (folder / "dataset_dict.json").write_text('{"splits": ["train"]}')
    table = pa.Table.from_pylist(rows(3), SCHEMA)
    with pa.OSFile(str(folder / "train" / "dataset.arrow"), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:
        stream.write_table(table)

    assert run(folder, tmp_path) == 0

    reader = open_current(tmp_path / "index")
    assert reader.info.size == 3
    reader.close()


def test_bad_rows_are_skipped_with_their_reason(tmp_path: Path, capsys) -> None:
    """A damaged picture, none at all, too short a vector and one of zeros stop nothing."""
    folder = tmp_path / "set"
    folder.mkdir()
    made = rows(6)
    made[1]["image_data"] = {"bytes": b"\xff\xd8 not a picture", "path": None}
    made[2]["image_data"] = None
    made[3]["image_embeddings"] = [1.0, 2.0]
    made[4]["image_embeddings"] = [0.0] * DIMENSIONS
    pq.write_table(pa.Table.from_pylist(made, SCHEMA), folder / "rows.parquet")

    assert run(folder, tmp_path, None, "--json") == 0

    summary = json.loads(capsys.readouterr().out)
    assert (summary["size"], summary["skipped"]) == (2, 4)
    assert [file["path"] for file in summary["skipped_files"]] == [f"0000000{row}.jpg" for row in (1, 2)] + [
        f"0000000{row}.png" for row in (3, 4)
    ]


def test_another_model_is_refused(source: Path, tmp_path: Path, capsys) -> None:
    """It would search the vectors without an error and without sense; nothing is published."""
    assert run(source, tmp_path, WordEncoder(seed=1)) == 1
    assert "not those of the model" in capsys.readouterr().err
    assert run(source, tmp_path, FakeEncoder(dimensions=16)) == 1
    assert "have 512 numbers, those of the model fake have 16" in capsys.readouterr().err
    assert current_version(tmp_path / "index") is None


def test_data_sets_that_cannot_be_read_are_refused(source: Path, tmp_path: Path, capsys) -> None:
    """An empty folder, a damaged file and a table without vectors end the command with one sentence."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    pq.write_table(pa.table({"caption": ["a dog"]}), tmp_path / "other" / "rows.parquet")
    sentences = []
    for folder in (tmp_path / "empty", tmp_path / "other"):
        assert run(folder, tmp_path) == 1
        sentences.append(capsys.readouterr().err)
    damaged = next(source.rglob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert run(source, tmp_path) == 1

    assert "is empty" in sentences[0]
    assert "lacks the columns image_data, image_embeddings, text_embeddings" in sentences[1]
    assert "cannot be read" in capsys.readouterr().err


def test_an_index_with_changes_of_its_own_is_left_alone(source: Path, tmp_path: Path, capsys) -> None:
    """What came through the API would be gone from the version that an import makes."""
    (tmp_path / "index" / "journal").mkdir(parents=True)

    assert run(source, tmp_path) == 1
    assert "another folder" in capsys.readouterr().err


def test_without_vectors_of_captions_those_of_pictures_are_compared(tmp_path: Path, capsys) -> None:
    """They lie in the data set itself."""
    folder = tmp_path / "set"
    folder.mkdir()
    made, encoder = rows(3), WordEncoder()
    for row in made:
        picture = Image.open(io.BytesIO(row["image_data"]["bytes"])).convert("RGB")
        row["image_embeddings"] = encoder.encode_pictures([encoder.prepare(picture)])[0].tolist()
        row["text_embeddings"] = None
    pq.write_table(pa.Table.from_pylist(made, SCHEMA), folder / "rows.parquet")

    assert run(folder, tmp_path, encoder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["compared"] == "pictures"
    assert run(folder, tmp_path, WordEncoder(seed=1)) == 1
    assert "its pictures have other vectors" in capsys.readouterr().err
