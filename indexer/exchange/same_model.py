"""Are the vectors of the encoder that is named? Others would be searched without an error and without sense."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imagetext.models.transform import DECODED_SIDE
from imagetext.pictures import open_picture
from imagetext.wire.errors import InvalidParameter
from indexer.exchange.pictures import Origin, Place, to_row
from indexer.exchange.shards import Batch, Shard

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

ALIKE = 0.98  # cosine; the vectors were made on other machines, of other versions
COMPARED = 8  # captions, or pictures, of each of some parts

Vectors = NDArray[np.float32]


def require_same_model(
    shards: Sequence[Shard], place: Place, origin: Origin | None, encoder: "Encoder", *, trust: bool
) -> str | None:
    """Compare the collection's vectors with the encoder's own.

    Compared are fingerprints, if an index was exported; else the vectors of captions, else those of pictures that are
    there.

    Args:
        trust: compare nothing but the number of numbers.

    Returns:
        What was compared, "fingerprint", "captions" or "pictures"; None if there was nothing to compare.

    Raises:
        InvalidParameter: they are of another model.
    """
    if shards[0].dimensions != encoder.dimensions:
        raise InvalidParameter(
            f"The vectors of {shards[0].name} have {shards[0].dimensions} numbers, those of the model {encoder.name} "
            f"have {encoder.dimensions}."
        )
    if trust:
        return None
    if origin is not None:
        if origin.fingerprint != encoder.fingerprint:
            raise _another(encoder, "the fingerprint of its encoder is another")
        return "fingerprint"
    for name, compare in (("captions", _captions), ("pictures", _pictures)):
        cosines = compare(shards, place, encoder)
        # Not all need agree: a caption may have been cut shorter, a picture changed since.
        if cosines is not None and np.median(cosines) < ALIKE:
            raise _another(encoder, f"it gives its {name} others (median cosine {np.median(cosines):.2f})")
        if cosines is not None:
            return name
    return None


def _another(encoder: "Encoder", reason: str) -> InvalidParameter:
    return InvalidParameter(
        f"The vectors of the collection are not of the model {encoder.name}: {reason}. "
        f"Name the model that made them, or add --trust if you know better."
    )


def _captions(shards: Sequence[Shard], place: Place, encoder: "Encoder") -> Vectors | None:
    compared = [pair for batch in _some(shards) for pair in islice(_with_caption(batch, encoder), COMPARED)]
    if not compared:
        return None
    return _cosines(encoder.encode_texts([caption for caption, _ in compared]), [vector for _, vector in compared])


def _with_caption(batch: Batch, encoder: "Encoder") -> Iterator[tuple[str, NDArray[Any]]]:
    if batch.texts is None or batch.texts.shape[1] != encoder.dimensions:
        return
    for columns, vector in zip(batch.columns, batch.texts, strict=True):
        caption = columns.get("caption")
        if isinstance(caption, str) and caption.strip():
            yield caption, vector


def _pictures(shards: Sequence[Shard], place: Place, encoder: "Encoder") -> Vectors | None:
    compared = [pair for batch in _some(shards) for pair in islice(_with_file(batch, place, encoder), COMPARED)]
    if not compared:
        return None
    return _cosines(encoder.encode_pictures([given for given, _ in compared]), [vector for _, vector in compared])


def _with_file(batch: Batch, place: Place, encoder: "Encoder") -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for columns, vector in zip(batch.columns, batch.vectors, strict=True):
        made = to_row(0, columns, place)
        if isinstance(made, str) or not made[0].was_seen:
            continue
        try:
            given = encoder.prepare(open_picture(place.root / made[0].path, target=DECODED_SIDE))
        except Exception:  # whatever a model raises over one picture
            continue
        yield given, vector


def _some(shards: Sequence[Shard]) -> Iterator[Batch]:
    """The first rows of three parts: the parts may have been made at several times."""
    for number in sorted({0, len(shards) // 2, len(shards) - 1}):
        yield next(shards[number].batches())


def _cosines(own: Vectors, theirs: Sequence[NDArray[Any]]) -> Vectors:
    others = np.stack(theirs).astype(np.float32)
    lengths = np.linalg.norm(others, axis=1)
    cosines: Vectors = np.einsum("nd,nd->n", own, others) / np.where(lengths > 0, lengths, 1)
    return np.nan_to_num(cosines)
