"""A version is written whole or not at all."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imagetext.index import EncoderRef, SkippedFile, list_versions, read_skipped, write_version
from imagetext.wire.errors import IndexVersionError


def test_the_folder_holds_what_the_layout_says(index):
    """Four files, and nothing hidden beside the version; exact search needs no second copy of the vectors."""
    version = index.write()

    assert os.listdir(index.folder / "versions") == [version]
    assert sorted(os.listdir(index.version_folder(version))) == [
        "manifest.json",
        "rows.sqlite",
        "skipped.jsonl",
        "vectors.npy",
    ]


def test_other_users_may_read_a_version(index):
    """The services seldom run as the user who runs the indexer."""
    folder = index.version_folder(index.write())

    for path in [folder, *folder.iterdir()]:
        umask = os.umask(0)
        os.umask(umask)
        assert path.stat().st_mode & 0o444 == 0o444 & ~umask


def test_skipped_files_come_back_as_they_were(index):
    """Names of any bytes, one line each."""
    index.skipped = [SkippedFile("a\nb.jpg", "Bad."), SkippedFile("ü\udcff.png", "Worse.")]
    folder = index.version_folder(index.write())

    assert read_skipped(folder) == index.skipped
    assert len((folder / "skipped.jsonl").read_bytes().splitlines()) == 2


def test_an_empty_version_is_refused(tmp_path):
    """There would be nothing to search."""
    with pytest.raises(IndexVersionError):
        write_version(
            tmp_path,
            [],
            np.empty((0, 8), dtype=np.float32),
            encoder=EncoderRef("toy", "f00d", 8),
            images_root=Path("/pictures"),
        )
    assert list_versions(tmp_path) == []


@pytest.mark.parametrize("fault", ["same path twice", "a vector too few", "vectors of another length"])
def test_a_version_that_does_not_verify_never_appears(index, fault):
    """The faulty folder is cleared away."""
    rows, vectors = index.rows(), index.vectors()
    if fault == "same path twice":
        rows[1] = replace(rows[0], row=1)
    elif fault == "a vector too few":
        vectors = vectors[1:]
    else:
        vectors = vectors[:, 1:]

    with pytest.raises(IndexVersionError):
        write_version(index.folder, rows, vectors, encoder=EncoderRef("toy", "f00d", 8), images_root=Path("/pictures"))
    assert os.listdir(index.folder / "versions") == []


def test_a_folder_that_faiss_cannot_be_told_is_refused(index):
    """FAISS takes paths as UTF-8 only, which the sentence says; the pictures' own names are free."""
    index.folder = index.folder / "\udcff"

    with pytest.raises(IndexVersionError, match="UTF-8"):
        index.write()
