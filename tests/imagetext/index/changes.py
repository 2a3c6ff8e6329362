"""Changes for the tests of the journal and of what is searched with it."""

import hashlib
from pathlib import Path

import numpy as np

from imagetext.index import PictureRow, picture_id
from imagetext.index.changes.journal_writer import AddedPictures
from imagetext.index.changes.records import NO_ROW, Addition, Deletion, Over

DIMENSIONS = 8


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def addition(index: Path, path: str, seed: int = 0, *, over: Over | None = None, fingerprint="f00d") -> Addition:
    """A made-up picture; its file is written."""
    content = f"{path} {seed}".encode("utf-8", "surrogateescape")
    sha256, id = hashlib.sha256(content).hexdigest(), picture_id(path)
    changed = AddedPictures(index).write(id, sha256, content)
    said = None, ("made up",), (f"seed {seed}",)
    picture = PictureRow(NO_ROW, id, path, sha256, len(content), changed, 40, 30, *said)
    return Addition(picture, unit(seed), fingerprint, seed, over)


def deletion(path: str, over: Over = Over("0" * 64, 1, 1)) -> Deletion:  # noqa: B008
    return Deletion(picture_id(path), path, 5, over)


def file_is_whole(index: Path, picture: PictureRow) -> bool:
    content = (index / "added" / AddedPictures.name(picture)).read_bytes()
    return hashlib.sha256(content).hexdigest() == picture.sha256
