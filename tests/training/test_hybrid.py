"""What the words of captions add is measured on an index as it is searched."""

from contextlib import closing
from pathlib import Path

import numpy as np

from imagetext.index import EncoderRef, IndexReader, PictureRow, picture_id, publish, version_folder, write_version
from training.hybrid import main, recalls

WORDS = ["walrus", "lighthouse", "umbrella", "tractor"]


class TwoSidedEncoder:
    """Knows left from right, and no more: half of the pictures fit a text equally well."""

    dimensions = 2

    def encode_texts(self, texts):
        return np.array([[1.0, 0.0] if "left" in text else [0.0, 1.0] for text in texts], dtype=np.float32)


def write_index(index: Path) -> IndexReader:
    """Four pictures, the first two on the left, each with a caption that has a word of its own."""
    rows = [
        PictureRow(row, picture_id(f"{row}"), f"in/{row}.jpg", f"{row:064x}", 1, 1, 1, 1, captions=(f"a {word}",))
        for row, word in enumerate(WORDS)
    ]
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    encoder = EncoderRef("toy", "f00d", 2)
    version = write_version(index, rows, vectors, encoder=encoder, images_root=Path("/pictures"))
    publish(index, version)
    return IndexReader.open(version_folder(index, version))


def test_recalls_of_the_three_ways(tmp_path):
    """Words alone find every picture here, the vectors one of each two, and fused they find all."""
    queries = [(f"{'left' if row < 2 else 'right'} {word}", row) for row, word in enumerate(WORDS)]
    with closing(write_index(tmp_path)) as reader:
        found = recalls(reader, TwoSidedEncoder(), queries)

    assert found["words"][1] == found["fused"][1] == 100
    assert found["vectors"] == {1: 50, 5: 100, 10: 100}


def test_an_index_without_such_pictures_is_refused(tmp_path, capsys):
    """One sentence, before the model is loaded."""
    (tmp_path / "captions.token.txt").write_text("else.jpg#0\tA dog .\n")
    write_index(tmp_path / "index").close()
    files = ["--queries", str(tmp_path / "captions.token.txt"), "--model", "nowhere"]

    assert main(["--index", str(tmp_path / "index"), *files]) == 1
    assert main(["--index", str(tmp_path / "empty"), *files]) == 1
    assert capsys.readouterr().err.count("\n") == 2
