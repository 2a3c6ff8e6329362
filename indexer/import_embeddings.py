"""The rows of a data set that carries its own vectors, as `shirsh10mall/Image_Captioning_GCC_Embeddings` has them.

Columns: caption, image_data (a picture's file, as `datasets` keeps it: bytes and path), image_embeddings and
text_embeddings (numbers, as many as the model has dimensions). Read are parquet files anywhere in a folder, and what
`datasets` saves to disk (Arrow streams).

A data set with its own vectors to a published index version: the pictures are written out, none is encoded again.

    PICTURES/Images/00000000.jpg ...       named by their row
    PICTURES/captions.token.txt            lines of 00000000.jpg#0<TAB>A sentence

So the folder is also a data set in the layout of Flickr8k, without lists of splits. An ordinary build over
PICTURES/Images with the same model finds all vectors known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagetext.wire.errors import InvalidParameter, NotFound

if TYPE_CHECKING:
    import pyarrow as pa
import hashlib
import os
import time
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.files import replacing
from imagetext.index import EncoderRef, PictureRow, SkippedFile, picture_id, publish, write_version
from imagetext.index.changes.journal import require_unchanged
from imagetext.index.rows import clean_captions, clean_tags
from imagetext.index.versions import prune_versions, remove_leftovers
from imagetext.pictures import open_picture, read_metadata
from imagetext.wire.errors import ImageTextError
from indexer.build import KEPT_VERSIONS
from indexer.lock import build_lock
from indexer.progress import reported
from indexer.summary import Summary

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder


COLUMNS = ("caption", "image_data", "image_embeddings", "text_embeddings")
ROWS = 256  # read at once


@dataclass(frozen=True)
class EmbeddedPicture:
    """One row, as it is written: nothing of it is checked."""

    caption: str
    content: bytes | None
    picture_vector: Sequence[float] | None
    text_vector: Sequence[float] | None


def find_tables(folder: Path) -> list[Path]:
    """The files with rows, in the order of their names.

    Raises:
        NotFound: there are none.
    """
    found = sorted(folder.rglob("*.parquet")) or sorted(folder.rglob("*.arrow"))
    if not found:
        raise NotFound(f"{folder} holds neither parquet files nor a data set saved by the package datasets.")
    return found


def count_rows(files: Sequence[Path]) -> int:
    """Raises InvalidParameter where a file is damaged or lacks a column."""
    return sum(sum(batch.num_rows for batch in _batches(file, COLUMNS[:1])) for file in files)


def read_rows(files: Sequence[Path]) -> Iterator[EmbeddedPicture]:
    """All rows of all files. Raises InvalidParameter as `count_rows` does."""
    for file in files:
        for batch in _batches(file, COLUMNS):
            for row in batch.to_pylist():
                yield _row(row)


def _row(row: dict[str, Any]) -> EmbeddedPicture:
    picture = row["image_data"]
    content = picture.get("bytes") if isinstance(picture, dict) else picture
    return EmbeddedPicture(
        str(row["caption"] or ""),
        content if isinstance(content, bytes) else None,
        row["image_embeddings"],
        row["text_embeddings"],
    )


def _batches(file: Path, columns: Sequence[str]) -> Iterator["pa.RecordBatch"]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:  # serving needs none of it
        raise InvalidParameter("Reading such a data set needs the package pyarrow: pip install pyarrow") from error
    try:
        if file.suffix == ".parquet":
            with pq.ParquetFile(file) as table:
                _require(file, table.schema_arrow.names)
                yield from table.iter_batches(ROWS, columns=list(columns))
        else:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                _require(file, stream.schema.names)
                for batch in stream:
                    picked = batch.select(list(columns))
                    yield from (picked.slice(first, ROWS) for first in range(0, picked.num_rows, ROWS))
    except (pa.ArrowException, OSError) as error:
        raise InvalidParameter(f"{file.name} cannot be read; it may be damaged.") from error


def _require(file: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InvalidParameter(f"{file.name} lacks the columns {', '.join(missing)}.")


PICTURES, CAPTIONS = "Images", "captions.token.txt"
COMPARED = 32  # captions whose vectors tell whether the model is the data set's
ALIKE = 0.98  # cosine; the vectors were made on other machines, of other versions
_SUFFIXES = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"RIFF", ".webp"), (b"BM", ".bmp"))


def import_embeddings(source: Path, pictures: Path, index: Path, encoder: "Encoder") -> Summary:
    """Write out the pictures and publish a version with their own vectors, normalised.

    Interrupted, it begins again and writes only the pictures that are not there yet.

    Raises:
        NotFound: there is no such data set, or no usable row in it; the current version stays.
        InvalidParameter: the data set is damaged, its vectors are not those of the encoder, or the index holds changes
            that came through the API.
        Busy: another build is running on this index.
    """
    started = time.monotonic()
    require_unchanged(index)
    files = find_tables(source)
    total = count_rows(files)
    _require_same_model(read_rows(files), encoder)
    root = Path(os.path.abspath(pictures)) / PICTURES
    root.mkdir(parents=True, exist_ok=True)
    index.mkdir(parents=True, exist_ok=True)
    with build_lock(index), reported(index) as progress:
        remove_leftovers(index)
        progress.stage("writing")
        with tqdm(read_rows(files), total=total, unit="picture", disable=None) as rows:
            found, vectors, skipped = _write_out(rows, root, encoder.dimensions)
        if not found:
            raise NotFound(f"{source} holds no row with a readable picture and its vector.")
        made_by = EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions)
        version = write_version(
            index,
            found,
            np.stack(vectors),
            encoder=made_by,
            images_root=root,
            skipped=skipped,
            stage=progress.stage,
        )
        progress.stage("publishing")
        publish(index, version)
        prune_versions(index, KEPT_VERSIONS)
    return Summary(True, version, len(found), 0, len(found), skipped, time.monotonic() - started)


def _require_same_model(rows: Iterable[EmbeddedPicture], encoder: "Encoder") -> None:
    """Vectors of another model would be searched without an error and without sense."""
    some = [row for row in islice(rows, COMPARED) if row.text_vector is not None and row.caption]
    theirs = [_unit(row.text_vector, encoder.dimensions) for row in some]
    if any(vector is None for vector in theirs) or not some:
        raise InvalidParameter(
            f"The vectors of the data set are not of {encoder.dimensions} numbers, as the model's are."
        )
    own = encoder.encode_texts([row.caption for row in some])
    cosines = [float(one @ other) for one, other in zip(own, theirs, strict=True) if other is not None]
    # Not all need agree: the data set may have cut long captions shorter.
    if np.median(cosines) < ALIKE:
        raise InvalidParameter(
            f"The vectors of the data set are not of the model {encoder.name}: it gives its captions others "
            f"(median cosine {np.median(cosines):.2f})."
        )


def _write_out(
    rows: Iterable[EmbeddedPicture], root: Path, dimensions: int
) -> tuple[list[PictureRow], list[NDArray[np.float32]], list[SkippedFile]]:
    found: list[PictureRow] = []
    vectors: list[NDArray[np.float32]] = []
    skipped: list[SkippedFile] = []
    captions = []
    for number, row in enumerate(rows):
        content = row.content or b""
        name = f"{number:08}{_suffix(content)}"
        vector = _unit(row.picture_vector, dimensions)
        if vector is None:
            skipped.append(SkippedFile(name, f"Its vector is not of {dimensions} finite numbers."))
            continue
        try:
            width, height = open_picture(content).info["full_size"]
        except ImageTextError as error:
            skipped.append(SkippedFile(name, error.detail))
            continue
        found.append(_write_picture(root, name, content, (width, height), len(found), row.caption))
        vectors.append(vector)
        captions.append(f"{name}#0\t{' '.join(row.caption.split())}\n")
    _replace(root.parent / CAPTIONS, "".join(captions).encode())
    return found, vectors, skipped


def _write_picture(root: Path, name: str, content: bytes, size: tuple[int, int], row: int, caption: str) -> PictureRow:
    path = root / name
    if not (path.is_file() and path.read_bytes() == content):
        _replace(path, content)
    metadata = read_metadata(content)
    return PictureRow(
        row=row,
        id=picture_id(name),
        path=name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        mtime_ns=path.stat().st_mtime_ns,
        width=size[0],
        height=size[1],
        taken=metadata.taken,
        tags=clean_tags(metadata.tags),
        captions=clean_captions([caption]),
    )


def _unit(numbers: object, dimensions: int) -> NDArray[np.float32] | None:
    """A unit vector (dimensions,), or None where the numbers give none."""
    try:
        vector = np.asarray(numbers, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    length = float(np.linalg.norm(vector)) if vector.shape == (dimensions,) else 0.0
    return vector / length if np.isfinite(length) and length > 0 else None


def _suffix(content: bytes) -> str:
    return next((suffix for start, suffix in _SUFFIXES if content.startswith(start)), ".jpg")


def _replace(path: Path, content: bytes) -> None:
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)
