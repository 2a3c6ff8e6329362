"""`build --labels`: the model's own names for what is in a picture become tags beside the picture's own.

Models compute label probabilities from features that an index does not keep. Therefore the names are compared with the
stored vectors, as POST /v1/labels does with names that are given: no picture is encoded for its labels
(docs/decisions/label-tags.md). A version keeps the tags that were added apart, so that the next build knows a picture's
own tags.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imagetext.index import IndexReader, PictureRow
from imagetext.index.rows import clean_tags
from imagetext.wire.captions import LABEL_PROMPT
from imagetext.wire.errors import InvalidParameter
from indexer.arguments import MOST_LABELS, THRESHOLD

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

_FIELD = "label_tags"  # of the table `carried` of a version
_PICTURES = 1024  # compared or read at once
_TEXTS = 32  # encoded at once

LabelTags = Mapping[int, tuple[str, ...]]
"""Row number -> the tags that were added; rows without any are left out."""


class Labeller:
    """Finds the likeliest labels of pictures by their vectors."""

    def __init__(self, encoder: "Encoder", most: int = MOST_LABELS, threshold: float = THRESHOLD) -> None:
        """
        Args:
            most: labels of a picture.
            threshold: the smallest probability of a label, above 0 and at most 1.

        Raises:
            InvalidParameter: the encoder has no labels.
        """
        if encoder.labels is None:
            raise InvalidParameter(f"--labels needs a model with labels of its own; {encoder.name} has none.")
        self._encoder = encoder
        self._most = most
        self._threshold = threshold
        self._scale = encoder.labels.scale
        self._names = list(dict.fromkeys(encoder.labels.names))  # a few names stand for two kinds of things
        self._texts: NDArray[np.float32] | None = None

    def tags(self, rows: Sequence[PictureRow], vector: Callable[[str], NDArray[np.float32]]) -> LabelTags:
        """The labels that are not among a row's own tags; `vector` gives the unit vector (dimensions,) of a sha256."""
        found: dict[int, tuple[str, ...]] = {}
        for start in range(0, len(rows), _PICTURES):
            some = rows[start : start + _PICTURES]
            labels = self.labels(np.stack([vector(row.sha256) for row in some]))
            for row, names in zip(some, labels, strict=True):
                if added := clean_tags([*row.tags, *names])[len(row.tags) :]:
                    found[row.row] = added
        return found

    def labels(self, vectors: NDArray[np.float32]) -> list[list[str]]:
        """The likeliest names for unit vectors (n, dimensions), likeliest first."""
        if self._texts is None:
            self._texts = self._encode_names()
        logits = self._scale * (vectors @ self._texts.T)
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return [list(self._likeliest(each)) for each in probabilities]

    def _likeliest(self, probabilities: NDArray[np.float32]) -> Iterator[str]:
        enough = np.flatnonzero(probabilities >= self._threshold)
        for place in enough[np.argsort(-probabilities[enough], kind="stable")][: self._most]:
            yield self._names[place]

    def _encode_names(self) -> NDArray[np.float32]:
        texts = [LABEL_PROMPT.replace("{}", name) for name in self._names]
        parts = [self._encoder.encode_texts(texts[start : start + _TEXTS]) for start in range(0, len(texts), _TEXTS)]
        return np.concatenate(parts)


def with_label_tags(rows: Sequence[PictureRow], labels: LabelTags) -> list[PictureRow]:
    """The rows with labels after their own tags."""
    return [replace(row, tags=(*row.tags, *labels[row.row])) if row.row in labels else row for row in rows]


def to_carried(labels: LabelTags) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """What `write_version` keeps with the rows, for `read_label_tags`."""
    return ((row, {_FIELD: list(tags)}) for row, tags in sorted(labels.items()))


def read_label_tags(reader: IndexReader) -> LabelTags:
    """The tags that a version has from labels."""
    found: dict[int, tuple[str, ...]] = {}
    for start in range(0, reader.info.size, _PICTURES):
        span = range(start, min(start + _PICTURES, reader.info.size))
        for row, fields in zip(span, reader.carried(span), strict=True):
            tags = fields.get(_FIELD)
            if isinstance(tags, list) and all(
                isinstance(tag, str) for tag in tags
            ):  # a collection may have such a column
                found[row] = tuple(tags)
    return found


def without_label_tags(rows: Sequence[PictureRow], labels: LabelTags) -> list[PictureRow]:
    """The rows with their own tags only."""
    return [
        replace(row, tags=tuple(tag for tag in row.tags if tag not in labels[row.row])) if row.row in labels else row
        for row in rows
    ]
