"""Writes one new version: into a hidden folder, verified, synced to the disk, and only then under its name."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.files import replacing
from imagetext.index.changes.records import Override, write_overrides
from imagetext.index.kinds import IndexOptions
from imagetext.index.manifest import ROWS, SKIPPED, VECTORS, EncoderRef, Manifest, sum_file, write_manifest
from imagetext.index.reader import IndexReader
from imagetext.index.row_tables import Carried, write_rows
from imagetext.index.rows import PictureRow
from imagetext.index.tuning import choose
from imagetext.index.vector_search import faiss_path
from imagetext.index.versions import new_version, version_folder
from imagetext.wire.errors import IndexVersionError
from imagetext.wire.index import BuildStage


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
    images_root: Path | str,
    skipped: Sequence[SkippedFile] = (),
    options: IndexOptions | None = None,
    texts: NDArray[np.float32] | None = None,
    stage: Callable[[BuildStage], object] = lambda _: None,
    carried: Carried | None = None,
    merged: int | None = None,
    overrides: Sequence[Override] = (),
) -> str:
    """Write, verify and name a new version; it is not published yet.

    Args:
        vectors: (len(rows), encoder.dimensions) float32, unit rows in the order of `rows`; may be memory-mapped.
        options: the kind of index, its recall and its memory; None: the defaults.
        images_root: what the rows' paths are relative to: a folder, or the address of an object store.
        texts: (n, encoder.dimensions) float32, unit rows, of texts such as people may search for: the index is tuned on
            them too.
        stage: called with each stage as it begins.
        carried: fields that came with pictures from another collection; None: none.
        merged: the position of the last change of the journal that `rows` holds; None: there is no journal.
        overrides: what those changes mean for the next build.

    Returns:
        The name of the version.

    Raises:
        IndexVersionError: what was written does not verify, or there is nothing to write.
        InvalidParameter: no kind of index meets the options.
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
        options=options or IndexOptions(),
        merged=merged,
    )
    with replacing(version_folder(index, manifest.version), sync=True) as folder:
        folder.mkdir(parents=True)
        if merged is not None:
            write_overrides(folder, overrides)
        stage("tuning")
        _write_files(folder, manifest, rows, vectors, skipped, texts, carried)
        stage("verifying")
        IndexReader.open(folder, verify=True).close()
    return manifest.version


def read_skipped(folder: Path) -> list[SkippedFile]:
    """The files that a version's folder lists as skipped."""
    return [SkippedFile(**json.loads(line)) for line in (folder / SKIPPED).read_text("ascii").splitlines()]


def _write_files(
    folder: Path,
    manifest: Manifest,
    rows: Sequence[PictureRow],
    vectors: NDArray[np.float32],
    skipped: Sequence[SkippedFile],
    texts: NDArray[np.float32] | None,
    carried: Carried | None,
) -> None:
    np.save(folder / VECTORS, vectors, allow_pickle=False)
    manifest = _with_index(folder, manifest, vectors, texts)
    write_rows(folder / ROWS, rows, carried)
    # json's own escapes keep undecodable names, and names with line breaks, on one ASCII line
    lines = (json.dumps(asdict(file)) + "\n" for file in skipped)
    (folder / SKIPPED).write_text("".join(lines), encoding="ascii")
    write_manifest(folder, replace(manifest, files={name: sum_file(folder / name) for name in manifest.file_names}))


def _with_index(
    folder: Path, manifest: Manifest, vectors: NDArray[np.float32], texts: NDArray[np.float32] | None
) -> Manifest:
    faiss_path(folder)  # a flat version needs none, but the next one may
    if vectors.shape != (manifest.size, manifest.encoder.dimensions):
        raise IndexVersionError(
            f"The vectors of a new index version must have the shape {(manifest.size, manifest.encoder.dimensions)}, "
            f"not {vectors.shape}."
        )
    chosen = choose(folder, vectors, manifest.options or IndexOptions(), texts)
    return replace(manifest, kind=chosen.kind, factory=chosen.factory, effort=chosen.effort, measured=chosen.measured)
