"""Do the engines chosen here answer as torch does, on the dev pictures of Flickr8k?

    python -m bench.agreement captions --model models/caption-gru --photos ../shared/data/flickr8k
    python -m bench.agreement vectors --model models/retrieval --photos ../shared/data/flickr8k

Prints the findings as JSON; exit status 1 if captions or vectors agree too little.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bench.row import Setting, quiet
from imagetext.models.captioner.engine import Captioner, DecodingOptions
from imagetext.models.encoder.engine import Encoder
from imagetext.pictures import open_picture
from imagetext.wire.errors import ImageTextError, NotFound

BATCH = 8
LEAST_EQUAL = 0.98  # share of the captions
LEAST_COSINE = 0.999
SHOWN = 5  # differing captions
NUMBER = 1000  # pictures; Flickr8k has five captions of each
DEV, CAPTIONS = "Flickr_8k.devImages.txt", "Flickr8k.token.txt"

Encode = Callable[[Any], NDArray[np.float32]]
Load = Callable[[str, Any], Any]  # a model folder and engines, or None for torch -> a captioner or an encoder


@dataclass(frozen=True)
class PhotoSet:
    """Files in the order of the split, and all their captions."""

    files: Sequence[Path]
    texts: Sequence[str]

    @classmethod
    def read(cls, folder: Path, first: int, number: int) -> Self:
        """`number` dev photos of a folder in the layout of Flickr8k. Raises NotFound if there are none."""
        try:
            names = (folder / DEV).read_text().split()[first : first + number]
            lines = [line.split("\t") for line in (folder / CAPTIONS).read_text().splitlines() if "\t" in line]
        except OSError as error:
            raise NotFound(f"{folder} is not in the layout of Flickr8k: {DEV} or {CAPTIONS} is missing.") from error
        if not names:
            raise NotFound(f"{folder} has no dev picture number {first}.")
        chosen = set(names)
        texts = [text.strip() for name, text in lines if name.partition("#")[0] in chosen]
        return cls([folder / "Images" / name for name in names], texts)

    def prepared(self, model: Captioner | Encoder) -> Iterator[tuple[Sequence[Path], list[NDArray[Any]]]]:
        """Batches of files with the model's inputs."""
        for files in _batches(self.files):
            yield files, [model.prepare(open_picture(file, target=model.decoded_side)) for file in files]


@dataclass(frozen=True)
class CaptionAgreement:
    """`equal` is the share of pictures with the same best caption; `differing` shows some of the others."""

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
    """Both with the same number of beams, in batches."""
    options = DecodingOptions(num_beams=beams)
    differing, number = list[dict[str, str]](), 0
    for files, inputs in photos.prepared(reference):
        captions = [[found[0].text for found in model.caption(inputs, options)] for model in (ours, reference)]
        number += len(files)
        for file, mine, theirs in zip(files, *captions, strict=True):
            if mine != theirs:
                differing.append({"picture": file.name, "ours": mine, "torch": theirs})
    return CaptionAgreement(number, beams, 1 - len(differing) / number, differing[:SHOWN])


def compare_pictures(photos: PhotoSet, reference: Encoder, ours: Encoder) -> VectorAgreement:
    """The vectors of the photos."""
    inputs = (batch for _, batch in photos.prepared(reference))
    return _vectors(inputs, reference.encode_pictures, ours.encode_pictures)


def compare_texts(photos: PhotoSet, reference: Encoder, ours: Encoder) -> VectorAgreement:
    """The vectors of the captions."""
    return _vectors(_batches(photos.texts), reference.encode_texts, ours.encode_texts)


def _vectors(batches: Iterator[Any], reference: Encode, ours: Encode) -> VectorAgreement:
    cosines = list(chain.from_iterable((ours(batch) * reference(batch)).sum(1).tolist() for batch in batches))
    return VectorAgreement(len(cosines), min(cosines), sum(cosines) / len(cosines))


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def main(arguments: Sequence[str] | None = None, *, load: Load | None = None) -> int:
    """The exit status. `load` replaces the library's own loaders."""
    options = _parse(arguments)
    quiet()
    began = time.monotonic()
    try:
        found = _compared(options, load or partial(_load, options.what))
    except (ImageTextError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    report = {"model": options.model, "first": options.first} | found
    sys.stdout.write(json.dumps(report | {"seconds": round(time.monotonic() - began, 1)}, indent=2) + "\n")
    return 0 if all(part["met"] for part in report["compared"].values()) else 1


def _compared(options: argparse.Namespace, load: Load) -> dict[str, Any]:
    photos = PhotoSet.read(options.photos, options.first, options.number)
    engines = Setting().engines(Path(options.model).name, options.engine)
    reference, ours = load(options.model, None), load(options.model, engines)
    parts: dict[str, CaptionAgreement | VectorAgreement]
    if options.what == "captions":
        parts = {"captions": compare_captions(photos, reference, ours, options.beams)}
    else:
        parts = {"pictures": compare_pictures(photos, reference, ours), "texts": compare_texts(photos, reference, ours)}
    compared = {name: asdict(part) | {"met": part.met} for name, part in parts.items()}
    return {"engines": {name: each.engine for name, each in ours.engines.items()}, "compared": compared}


def _load(what: str, source: str, engines: Any) -> Any:
    if what == "captions":
        from imagetext.models.captioner.engine import load_captioner

        return load_captioner(source, engines)
    from imagetext.models.encoder.engine import load_encoder

    return load_encoder(source, engines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.agreement", description="Compare engines with torch.")
    parser.add_argument("what", choices=("captions", "vectors"))
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--photos", required=True, type=Path, metavar="DIR", help="Flickr8k in its original layout")
    parser.add_argument("--number", type=int, default=NUMBER, help=f"of pictures (default {NUMBER})")
    parser.add_argument("--first", type=int, default=0, help="pictures to skip, to continue an earlier run")
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--engine", help="one engine, such as openvino-f32, instead of the fastest")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
