"""Checks that the vectors of a collection are those of the encoder: otherwise searches would run, and find nonsense."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imagetext.models.transform import DECODED_SIDE
from imagetext.pictures import open_picture
from imagetext.wire.errors import InvalidParameter
from indexer.exchange.collection import CAPTION, Batch, Shard
from indexer.exchange.from_columns import ExportNote, PictureFolder, to_row

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

SAME = 0.98  # median cosine; the vectors were made on other machines, by other versions of libraries
COMPARED = 8  # captions or pictures of each of some parts

Vectors = NDArray[np.float32]


def require_same_model(
    shards: Sequence[Shard], folder: PictureFolder, note: ExportNote | None, encoder: "Encoder", *, trust: bool
) -> str | None:
    """Compare the collection's vectors with the encoder's own.

    For the export of an index, fingerprints are compared; otherwise the vectors of captions, or if there are none,
    those of pictures.

    Args:
        trust: check only the number of dimensions.

    Returns:
        What was compared, "fingerprint", "captions" or "pictures"; None if nothing could be.

    Raises:
        InvalidParameter: the vectors are those of another model.
    """
    if shards[0].dimensions != encoder.dimensions:
        raise InvalidParameter(
            f"The vectors of {shards[0].name} have {shards[0].dimensions} numbers, those of the model {encoder.name} "
            f"have {encoder.dimensions}."
        )
    if trust:
        return None
    if note is not None:
        if note.fingerprint != encoder.fingerprint:
            raise _another(encoder, "its encoder's fingerprint is different")
        return "fingerprint"
    for name, compare in (("captions", _captions), ("pictures", _pictures)):
        cosines = compare(shards, folder, encoder)
        # The median, as some may differ: a caption may have been truncated, a picture changed since.
        if cosines is not None and np.median(cosines) < SAME:
            raise _another(encoder, f"its {name} have other vectors there (median cosine {np.median(cosines):.2f})")
        if cosines is not None:
            return name
    return None


def _another(encoder: "Encoder", reason: str) -> InvalidParameter:
    return InvalidParameter(
        f"The vectors of the collection are not those of the model {encoder.name}: {reason}. "
        f"Name the model that made them, or skip this check with --trust."
    )


def _captions(shards: Sequence[Shard], folder: PictureFolder, encoder: "Encoder") -> Vectors | None:
    compared = [pair for batch in _some(shards) for pair in islice(_with_caption(batch, encoder), COMPARED)]
    if not compared:
        return None
    return _cosines(encoder.encode_texts([caption for caption, _ in compared]), [vector for _, vector in compared])


def _with_caption(batch: Batch, encoder: "Encoder") -> Iterator[tuple[str, NDArray[Any]]]:
    if batch.texts is None or batch.texts.shape[1] != encoder.dimensions:
        return
    for columns, vector in zip(batch.columns, batch.texts, strict=True):
        caption = columns.get(CAPTION)
        if isinstance(caption, str) and caption.strip() and vector.any():
            yield caption, vector


def _pictures(shards: Sequence[Shard], folder: PictureFolder, encoder: "Encoder") -> Vectors | None:
    compared = [pair for batch in _some(shards) for pair in islice(_with_picture(batch, folder, encoder), COMPARED)]
    if not compared:
        return None
    return _cosines(encoder.encode_pictures([given for given, _ in compared]), [vector for _, vector in compared])


def _with_picture(
    batch: Batch, folder: PictureFolder, encoder: "Encoder"
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for number, vector in enumerate(batch.vectors):
        if number in batch.unusable:
            continue
        try:
            if batch.pictures is not None:
                picture = open_picture(batch.pictures[number][1], target=DECODED_SIDE)
            else:
                row = to_row(batch.columns[number], folder)
                if isinstance(row, str) or not row[0].was_seen:
                    continue
                picture = open_picture(folder.root / row[0].path, target=DECODED_SIDE)
            given = encoder.prepare(picture)
        except Exception:  # a model may raise anything for one picture
            continue
        yield given, vector


def _some(shards: Sequence[Shard]) -> Iterator[Batch]:
    """The first rows of three parts, as the parts may have been made at different times."""
    for number in sorted({0, len(shards) // 2, len(shards) - 1}):
        yield next(shards[number].batches())


def _cosines(own: Vectors, theirs: Sequence[NDArray[Any]]) -> Vectors:
    others = np.stack(theirs).astype(np.float32)
    lengths = np.linalg.norm(others, axis=1)
    cosines: Vectors = np.einsum("nd,nd->n", own, others) / np.where(lengths > 0, lengths, 1)
    return np.nan_to_num(cosines)
