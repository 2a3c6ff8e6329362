"""Whether the engines that are chosen here answer as torch does, on the dev pictures of Flickr8k.

    python -m bench.agreement captions --model models/caption-gru --photos ../shared/data/flickr8k
    python -m bench.agreement vectors --model models/retrieval --photos ../shared/data/flickr8k

It writes what it found as JSON. The exit status is 1 where captions or vectors agree too little.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from bench.agreement_measures import (
    CaptionAgreement,
    PhotoSet,
    VectorAgreement,
    compare_captions,
    compare_pictures,
    compare_texts,
)
from bench.setting import Setting, quiet
from imagetext.errors import ImageTextError

NUMBER = 1000  # pictures; Flickr8k has five sentences of each

Load = Callable[[str, Any], Any]  # a model folder and engines, or None for torch -> a captioner or an encoder


def main(arguments: Sequence[str] | None = None, *, load: Load | None = None) -> int:
    """The exit status. `load` opens the model in place of the library's own loaders."""
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
        from imagetext.captioner.engine import load_captioner

        return load_captioner(source, engines)
    from imagetext.encoder.engine import load_encoder

    return load_encoder(source, engines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.agreement", description="Compare engines with torch.")
    parser.add_argument("what", choices=("captions", "vectors"))
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--photos", required=True, type=Path, metavar="DIR", help="Flickr8k, as its authors lay it out")
    parser.add_argument("--number", type=int, default=NUMBER, help=f"of pictures ({NUMBER})")
    parser.add_argument("--first", type=int, default=0, help="pictures to pass over, to go on from an earlier run")
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--engine", help="one engine, as openvino-f32, in place of the fastest")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
