"""Scores of served models on the dev split: a table, and a report with pictures.

python -m training.evaluate --photos DIR [--drawn DIR] [--retrieval FOLDER]... [--captioner FOLDER]...
"""

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from imagetext.engines import Engines
from imagetext.models.captioner.engine import Captioner, DecodingOptions, load_captioner
from imagetext.models.encoder.engine import Encoder, load_encoder
from imagetext.pictures import open_picture
from imagetext.wire.errors import ImageTextError
from training.dataset import CaptionedPicture, read_split
from training.encoded import encode_pictures, encode_texts
from training.ranking import bootstrap, rank
from training.report.page import write_report
from training.report.tables import CaptionFindings, Findings, SearchFindings, tables
from training.scored_captions import JAR_VARIABLE, ScoredCaptions, meteor_if_possible

Item = TypeVar("Item")

BATCH = 32
BEAMS = 3
ENGINES = Path("data/engines")  # those of the services


class Preparing(Protocol):
    """What captioners and encoders share."""

    name: str

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]: ...


class KeptCaptions:
    """Captions in a file of JSON lines, deleted after the evaluation, so that changed code never meets old captions.

    Args:
        folder: of the file.
        identity: everything besides code that the captions depend on.
    """

    def __init__(self, folder: Path, identity: Sequence[object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
        self.file = folder / f"captions-{key}.jsonl"
        self.captions: list[str] = []
        if self.file.exists():
            lines = self.file.read_text(encoding="utf-8").splitlines(keepends=True)
            self.captions = [json.loads(line) for line in lines if line.endswith("\n")]
            self._rewrite()  # without a truncated last line

    def _rewrite(self) -> None:
        unfinished = self.file.with_suffix(".unfinished")
        unfinished.write_text("".join(json.dumps(caption) + "\n" for caption in self.captions), encoding="utf-8")
        os.replace(unfinished, self.file)

    def add(self, captions: Sequence[str]) -> None:
        self.captions += captions
        with self.file.open("a", encoding="utf-8") as out:
            out.write("".join(json.dumps(caption) + "\n" for caption in captions))

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)


def caption_all(captioner: Captioner, name: str, pictures: Sequence[CaptionedPicture], work: Path) -> list[str]:
    """The best caption of each picture, beam 3; continues after an interruption."""
    options = DecodingOptions(num_beams=BEAMS)
    kept = KeptCaptions(work, [captioner.fingerprint, BEAMS, [str(picture.path) for picture in pictures]])
    for inputs in _prepared(captioner, name, pictures[len(kept.captions) :]):
        kept.add([found[0].text for found in captioner.caption(inputs, options)])
    kept.forget()
    return kept.captions


def evaluate_captions(
    captions: Sequence[str],
    name: str,
    pictures: Sequence[CaptionedPicture],
    known: Sequence[str] | None = None,
    jar: str | None = None,
) -> CaptionFindings:
    """Scores of one caption per picture; `known` are the training captions."""
    references = [picture.captions for picture in pictures]
    scored = ScoredCaptions(captions, references, known, meteor_if_possible(captions, references, jar))
    return CaptionFindings(name, scored, bootstrap(scored.scores, len(pictures)))


def evaluate_encoder(encoder: Encoder, name: str, pictures: Sequence[CaptionedPicture]) -> SearchFindings:
    """Recall both ways, with all captions of every picture."""
    texts = [caption for picture in pictures for caption in picture.captions]
    owner = [row for row, picture in enumerate(pictures) for _ in picture.captions]
    ranking = rank(encode_texts(encoder, texts), encode_pictures(encoder, pictures), owner)
    return SearchFindings(name, texts, ranking, bootstrap(ranking.scores, len(pictures)))


def _prepared(
    model: Preparing, name: str, pictures: Sequence[CaptionedPicture]
) -> "tqdm[Iterator[list[NDArray[np.uint8]]]]":
    def prepare(picture: CaptionedPicture) -> NDArray[np.uint8]:
        return model.prepare(open_picture(picture.path))

    def batches() -> Iterator[list[NDArray[np.uint8]]]:
        with ThreadPoolExecutor(2) as pool:
            for batch in _batches(pictures):
                yield list(pool.map(prepare, batch))

    return tqdm(batches(), desc=name, unit="batch", total=-(-len(pictures) // BATCH))


def _batches(items: Sequence[Item]) -> list[list[Item]]:
    return [list(items[start : start + BATCH]) for start in range(0, len(items), BATCH)]


def _first_caption(pictures: Sequence[CaptionedPicture]) -> list[CaptionedPicture]:
    """Of a drawn scene only the first caption is complete."""
    return [CaptionedPicture(picture.path, picture.captions[:1]) for picture in pictures]


def _training_captions(folders: Sequence[Path]) -> list[str] | None:
    """The captions of the train splits, or None if no folder has one."""
    with_split = [folder for folder in folders if list(folder.glob("*trainImages.txt"))]
    found = [caption for folder in with_split for one in read_split(folder, "train") for caption in one.captions]
    return found or None


def _titles(models: Sequence[Preparing], sources: Sequence[str]) -> list[str]:
    """Each model's name, or its source if two have the same name."""
    counts = Counter(model.name for model in models)
    return [m.name if counts[m.name] == 1 else source for m, source in zip(models, sources, strict=True)]


def evaluate(options: argparse.Namespace) -> Findings:
    photos = read_split(options.photos, "dev")
    drawn = _first_caption(read_split(options.drawn, "dev")) if options.drawn else []
    known = _training_captions([folder for folder in (options.photos, options.drawn) if folder])
    captioners = [load_captioner(source, Engines(ENGINES)) for source in options.captioner]
    encoders = [load_encoder(source, Engines(ENGINES)) for source in options.retrieval]
    named = list(zip(encoders, _titles(encoders, options.retrieval), strict=True))
    jar = options.meteor or os.environ.get(JAR_VARIABLE)
    return Findings(
        photos,
        [
            evaluate_captions(caption_all(model, name, photos, options.report / "work"), name, photos, known, jar)
            for model, name in zip(captioners, _titles(captioners, options.captioner), strict=True)
        ],
        [evaluate_encoder(model, name, photos) for model, name in named],
        [evaluate_encoder(model, name, drawn) for model, name in named if drawn],
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--drawn", type=Path, help="drawn scenes in the same layout")
    parser.add_argument(
        "--retrieval",
        action="append",
        default=[],
        help="an encoder: a model folder, a CLIP folder or a hub id; repeatable",
    )
    parser.add_argument("--captioner", action="append", default=[], help="a captioner's model folder; repeatable")
    parser.add_argument("--meteor", metavar="JAR", help=f"meteor-1.5.jar; else {JAR_VARIABLE}, else pycocoevalcap's")
    parser.add_argument("--report", type=Path, default=Path(".cache/report"), help="where the page is written")
    parser.add_argument("--json", action="store_true", help="print one line of JSON and no table")
    options = parser.parse_args(argv)
    if not options.retrieval and not options.captioner:
        parser.error("name a model: --retrieval, --captioner, or both")
    try:
        findings = evaluate(options)
        page = write_report(findings, f"Models on {options.photos.resolve().name}, dev split", options.report)
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps(findings.to_json()) + "\n")
        return 0
    sys.stdout.write("\n".join(table.to_text() for table in tables(findings)))
    sys.stdout.write(f"\n{len(findings.pictures)} pictures; intervals contain 95 % of the resamples. {page}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
