"""A version that is not what its manifest says is refused, and the sentence names the file."""

import json
import random
import shutil
from contextlib import closing

import numpy as np
import pytest

from imagetext.index import IndexReader, publish, verify
from imagetext.wire.errors import IndexVersionError, NotFound
from tests.imagetext.index.conftest import write_clusters

FILES = ["manifest.json", "vectors.npy", "rows.sqlite", "skipped.jsonl"]


@pytest.fixture
def folder(index):
    return index.version_folder(index.write())


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A version with an index.faiss: of the kind ivf, and large enough for it."""
    return write_clusters(tmp_path_factory.mktemp("large"), kind="ivf")


def test_an_intact_version_verifies(folder):
    """And the manifest is given back."""
    manifest = verify(folder)

    assert (manifest.version, manifest.size) == (folder.name, 5)
    assert sorted(["manifest.json", *manifest.files]) == sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_any_changed_byte_is_found(name, folder, damage):
    """At each of the first 150 places, the last, and many between."""
    size = (folder / name).stat().st_size
    places = [*range(min(size, 150)), size - 1, *random.Random(1).sample(range(size), min(size, 150))]
    for at in places:
        damage(folder / name, at)
        with pytest.raises(IndexVersionError, match=name):
            verify(folder)
        with pytest.raises(IndexVersionError, match=name):
            IndexReader.open(folder, verify=True)
        damage(folder / name, at)  # and back
    assert verify(folder).size == 5


@pytest.mark.parametrize("name", [*FILES, "index.faiss"])
def test_a_large_version_with_damage_anywhere_is_refused(name, large, damage):
    """A changed byte at many places, another length, no file at all: each file of an approximate kind is guarded."""
    size = (large / name).stat().st_size
    for at in [0, size // 2, size - 1, *random.Random(2).sample(range(size), 12)]:
        damage(large / name, at)
        with pytest.raises(IndexVersionError, match=name):
            IndexReader.open(large, verify=True)
        damage(large / name, at)
    content = (large / name).read_bytes()
    for cut in [content[:-1], content[: size // 2], b"", content + b"\0"]:
        (large / name).write_bytes(cut)
        with pytest.raises(IndexVersionError, match=name):
            IndexReader.open(large)
    (large / name).unlink()
    with pytest.raises(IndexVersionError, match=name):
        IndexReader.open(large)
    (large / name).write_bytes(content)
    assert verify(large).kind == "ivf"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found_without_verifying(name, folder):
    """Opening checks what is cheap to check."""
    (folder / name).unlink()

    for check in [verify, IndexReader.open]:
        with pytest.raises(IndexVersionError, match=name):
            check(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_length_is_found_without_verifying(name, change, folder):
    """Cut off or grown."""
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] if change < 0 else content + b"\n")

    for check in [verify, IndexReader.open]:
        with pytest.raises(IndexVersionError, match=name):
            check(folder)


@pytest.mark.parametrize("name", FILES)
def test_an_empty_file_is_found(name, folder):
    """What a full disk leaves behind."""
    (folder / name).write_bytes(b"")

    for check in [verify, IndexReader.open]:
        with pytest.raises(IndexVersionError, match=name):
            check(folder)


def test_a_folder_in_place_of_a_file_is_found(folder):
    """It cannot be read, whatever its size."""
    (folder / "skipped.jsonl").unlink()
    (folder / "skipped.jsonl").mkdir()

    with pytest.raises(IndexVersionError, match=r"skipped\.jsonl"):
        verify(folder)


@pytest.mark.parametrize("name", ["vectors.npy", "rows.sqlite"])
def test_opening_damaged_files_unverified_never_crashes(name, folder, damage, index):
    """A damaged header is refused or opens, but ends neither in another exception nor in the end of the process."""
    for at in range(128):
        damage(folder / name, at)
        try:
            with closing(IndexReader.open(folder)) as reader:
                reader.search(index.vectors()[:1], 5)
                reader.row(1)
        except (IndexVersionError, NotFound):
            pass
        damage(folder / name, at)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '"x"', "[" * 100_000, '{"format": 1}', "\xff"],
)
def test_a_manifest_that_is_none_is_refused(text, folder):
    """Whatever lies in its place."""
    (folder / "manifest.json").write_text(text, encoding="latin-1")

    with pytest.raises(IndexVersionError, match=r"manifest\.json"):
        IndexReader.open(folder)


@pytest.mark.parametrize("format", [1, 2, 4])
def test_another_format_is_refused_by_its_number(folder, format):
    """An older or newer format is not called damaged, and the message says that the index must be built again."""
    fields = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(fields | {"format": format}))

    with pytest.raises(IndexVersionError, match=f"format {format}.*format 3.*Build the index again: python -m indexer"):
        IndexReader.open(folder)


@pytest.mark.parametrize("name", ["vectors.npy", "rows.sqlite"])
def test_files_of_another_version_are_refused_unverified(name, folder, index):
    """A file that was taken from a larger index does not agree with the manifest."""
    index.paths = [*index.paths, "more.jpg"]
    other = index.version_folder(index.write())
    shutil.copy(other / name, folder / name)

    with pytest.raises(IndexVersionError, match=name):
        IndexReader.open(folder)


def test_swapped_files_are_found(folder, index):
    """Files of the same length from another version have another checksum."""
    other = index.version_folder(index.write(seed=1))
    assert not np.array_equal(np.load(other / "vectors.npy"), np.load(folder / "vectors.npy"))
    shutil.copy(other / "vectors.npy", folder / "vectors.npy")

    with pytest.raises(IndexVersionError, match=r"vectors\.npy"):
        verify(folder)


def test_a_damaged_version_cannot_be_published(folder, index):
    """Nor one whose folder has been renamed to another name."""
    renamed = index.version_folder("20990101T000000Z-abcdef")
    shutil.copytree(folder, renamed)
    (folder / "vectors.npy").unlink()

    for version in [folder.name, renamed.name]:
        with pytest.raises(IndexVersionError):
            publish(index.folder, version)
    assert not (index.folder / "CURRENT").exists()
