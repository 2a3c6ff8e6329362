"""Photos with their sentences, and how well two copies of a model agree on them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from imagetext.captioner.engine import Captioner, DecodingOptions
from imagetext.encoder.engine import Encoder
from imagetext.errors import NotFound
from imagetext.pictures import open_picture

BATCH = 8
LEAST_EQUAL = 0.98  # share of the sentences
LEAST_COSINE = 0.999
SHOWN = 5  # sentences that differ
DEV, SENTENCES = "Flickr_8k.devImages.txt", "Flickr8k.token.txt"


@dataclass(frozen=True)
class PhotoSet:
    """Files in the order of the split, and all sentences about them."""

    files: Sequence[Path]
    texts: Sequence[str]

    @classmethod
    def read(cls, folder: Path, first: int, number: int) -> Self:
        """`number` of the dev photos of a folder laid out as Flickr8k. Raises NotFound where there is none."""
        try:
            names = (folder / DEV).read_text().split()[first : first + number]
            lines = [line.split("\t") for line in (folder / SENTENCES).read_text().splitlines() if "\t" in line]
        except OSError as error:
            raise NotFound(f"{folder} is not laid out as Flickr8k: it lacks {DEV} or {SENTENCES}.") from error
        if not names:
            raise NotFound(f"{folder} has no dev picture number {first}.")
        chosen = set(names)
        texts = [text.strip() for name, text in lines if name.partition("#")[0] in chosen]
        return cls([folder / "Images" / name for name in names], texts)

    def prepared(self, model: Captioner | Encoder) -> Iterator[tuple[Sequence[Path], list[NDArray[Any]]]]:
        """Batches of files and of the model's inputs."""
        for files in _batches(self.files):
            yield files, [model.prepare(open_picture(file, target=model.decoded_side)) for file in files]


@dataclass(frozen=True)
class CaptionAgreement:
    """`equal` is the share of pictures with the same best sentence; `differing` shows some of the others."""

    pictures: int
    beams: int
    equal: float
    differing: list[dict[str, str]]

    @property
    def met(self) -> bool:
        return self.equal >= LEAST_EQUAL


@dataclass(frozen=True)
class VectorAgreement:
    """Cosines of the vectors of the same input."""

    number: int
    lowest: float
    mean: float

    @property
    def met(self) -> bool:
        return self.lowest >= LEAST_COSINE


def compare_captions(photos: PhotoSet, reference: Captioner, ours: Captioner, beams: int) -> CaptionAgreement:
    """Both with the same beams, in batches."""
    options = DecodingOptions(num_beams=beams)
    differing, number = list[dict[str, str]](), 0
    for files, inputs in photos.prepared(reference):
        sentences = [[found[0].text for found in model.caption(inputs, options)] for model in (ours, reference)]
        number += len(files)
        for file, mine, theirs in zip(files, *sentences, strict=True):
            if mine != theirs:
                differing.append({"picture": file.name, "ours": mine, "torch": theirs})
    return CaptionAgreement(number, beams, 1 - len(differing) / number, differing[:SHOWN])


def compare_pictures(photos: PhotoSet, reference: Encoder, ours: Encoder) -> VectorAgreement:
    """The vectors of the photos."""
    inputs = (batch for _, batch in photos.prepared(reference))
    return _vectors(inputs, reference.encode_pictures, ours.encode_pictures)


def compare_texts(photos: PhotoSet, reference: Encoder, ours: Encoder) -> VectorAgreement:
    """The vectors of the sentences."""
    return _vectors(_batches(photos.texts), reference.encode_texts, ours.encode_texts)


Encode = Callable[[Any], NDArray[np.float32]]


def _vectors(batches: Iterator[Any], reference: Encode, ours: Encode) -> VectorAgreement:
    cosines = list(chain.from_iterable((ours(batch) * reference(batch)).sum(1).tolist() for batch in batches))
    return VectorAgreement(len(cosines), min(cosines), sum(cosines) / len(cosines))


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
