"""Writes one new version: in a hidden folder, onto the disk, checked, and only then under its name."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from imagetext.errors import IndexVersionError
from imagetext.index.manifest import (
    FAISS_INDEX,
    FILES,
    ROWS,
    SKIPPED,
    VECTORS,
    EncoderRef,
    Manifest,
    add_files,
    write_manifest,
)
from imagetext.index.reader import IndexReader, faiss_path
from imagetext.index.rows import PictureRow, write_rows
from imagetext.index.verification import sum_file
from imagetext.index.versions import VERSIONS, fsync, new_version, version_folder


@dataclass(frozen=True)
class SkippedFile:
    """A file or folder that could not be indexed; `path` as in PictureRow."""

    path: str
    reason: str


def write_version(
    index: Path,
    rows: Sequence[PictureRow],
    vectors: NDArray[np.float32],
    *,
    encoder: EncoderRef,
    images_root: Path,
    skipped: Sequence[SkippedFile] = (),
) -> str:
    """Write, verify and name a new version; it is not published yet.

    Args:
        vectors: (len(rows), encoder.dimensions) float32, unit rows in the order of `rows`.

    Returns:
        The name of the version.

    Raises:
        IndexVersionError: what was written does not verify, or there is nothing to write.
    """
    if not rows:
        raise IndexVersionError("An index version must hold at least one picture.")
    manifest = Manifest(
        version=new_version(index),
        created=datetime.now(UTC).replace(microsecond=0),
        encoder=encoder,
        size=len(rows),
        images_root=str(images_root),
        skipped=len(skipped),
    )
    folder = version_folder(index, manifest.version)
    hidden = folder.with_name(f".building-{manifest.version}")
    hidden.mkdir(parents=True)
    try:
        _write_files(hidden, manifest, rows, vectors, skipped)
        IndexReader.open(hidden, verify=True).close()
        os.rename(hidden, folder)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    fsync(index / VERSIONS)
    return manifest.version


def read_skipped(folder: Path) -> list[SkippedFile]:
    """What a version's folder says it left out."""
    return list(_parse_skipped((folder / SKIPPED).read_text("ascii")))


def _write_files(
    folder: Path,
    manifest: Manifest,
    rows: Sequence[PictureRow],
    vectors: NDArray[np.float32],
    skipped: Sequence[SkippedFile],
) -> None:
    np.save(folder / VECTORS, vectors, allow_pickle=False)
    _write_faiss(faiss_path(folder), vectors)
    write_rows(folder / ROWS, rows)
    # json's own escapes keep undecodable names, and names with line breaks, on one ASCII line
    lines = (json.dumps(asdict(file)) + "\n" for file in skipped)
    (folder / SKIPPED).write_text("".join(lines), encoding="ascii")
    write_manifest(folder, add_files(manifest, {name: sum_file(folder / name) for name in FILES}))
    for path in [*folder.iterdir(), folder]:
        fsync(path)


def _write_faiss(path: str, vectors: NDArray[np.float32]) -> None:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    try:
        faiss.write_index(index, path)
    except RuntimeError as error:
        raise IndexVersionError(f"{FAISS_INDEX} cannot be written; the disk may be full.") from error


def _parse_skipped(text: str) -> Iterator[SkippedFile]:
    for line in text.splitlines():
        yield SkippedFile(**json.loads(line))
