"""Writes one new version: in a hidden folder, onto the disk, checked, and only then under its name."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.index.candidates import faiss_path
from imagetext.index.carried import Carried, write_carried
from imagetext.index.changes.records import Override, write_overrides
from imagetext.index.kinds import Wanted
from imagetext.index.manifest import ROWS, SKIPPED, VECTORS, EncoderRef, Manifest, add_files, files_of, write_manifest
from imagetext.index.reader import IndexReader
from imagetext.index.rows import PictureRow, write_rows
from imagetext.index.tuning import choose
from imagetext.index.verification import sum_file
from imagetext.index.versions import VERSIONS, fsync, new_version, version_folder
from imagetext.wire.contracts import BuildStage
from imagetext.wire.errors import IndexVersionError


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
    wanted: Wanted | None = None,
    texts: NDArray[np.float32] | None = None,
    stage: Callable[[BuildStage], object] = lambda _: None,
    carried: Carried | None = None,
    merged: int | None = None,
    overrides: Sequence[Override] = (),
) -> str:
    """Write, verify and name a new version; it is not published yet.

    Args:
        vectors: (len(rows), encoder.dimensions) float32, unit rows in the order of `rows`; may be mapped from a file.
        wanted: the kind of index, its recall and its memory; None: as `Wanted()` has them.
        images_root: what the rows' paths are relative to: a folder, or the address of an object store.
        texts: (n, encoder.dimensions) float32, unit rows, of texts as people may search for: the index is tuned on them
            too.
        stage: told what begins now.
        carried: what came with pictures from another collection; None: nothing.
        merged: the position of the last change of the journal that `rows` holds; None: there is no journal.
        overrides: what those changes mean for the next build.

    Returns:
        The name of the version.

    Raises:
        IndexVersionError: what was written does not verify, or there is nothing to write.
        InvalidParameter: no kind of index gives what is wanted.
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
        wanted=wanted or Wanted(),
        merged=merged,
    )
    folder = version_folder(index, manifest.version)
    hidden = folder.with_name(f".building-{manifest.version}")
    hidden.mkdir(parents=True)
    try:
        if merged is not None:
            write_overrides(hidden, overrides)
        stage("tuning")
        _write_files(hidden, manifest, rows, vectors, skipped, texts, carried)
        stage("verifying")
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
    texts: NDArray[np.float32] | None,
    carried: Carried | None,
) -> None:
    np.save(folder / VECTORS, vectors, allow_pickle=False)
    manifest = _with_index(folder, manifest, vectors, texts)
    write_rows(folder / ROWS, rows)
    if carried is not None:
        write_carried(folder / ROWS, carried)
    # json's own escapes keep undecodable names, and names with line breaks, on one ASCII line
    lines = (json.dumps(asdict(file)) + "\n" for file in skipped)
    (folder / SKIPPED).write_text("".join(lines), encoding="ascii")
    names = files_of(manifest.kind, changes=manifest.merged is not None)
    write_manifest(folder, add_files(manifest, {name: sum_file(folder / name) for name in names}))
    for path in [*folder.iterdir(), folder]:
        fsync(path)


def _with_index(
    folder: Path, manifest: Manifest, vectors: NDArray[np.float32], texts: NDArray[np.float32] | None
) -> Manifest:
    faiss_path(folder)  # a later, larger version may need it
    if vectors.shape != (manifest.size, manifest.encoder.dimensions):
        raise IndexVersionError("The vectors of the new index version are not one of the encoder's for each picture.")
    chosen = choose(folder, vectors, manifest.wanted or Wanted(), texts)
    return replace(manifest, kind=chosen.kind, factory=chosen.factory, effort=chosen.effort, measured=chosen.measured)


def _parse_skipped(text: str) -> Iterator[SkippedFile]:
    for line in text.splitlines():
        yield SkippedFile(**json.loads(line))
