"""A compact captioner in integers: its picture network in 8 bits, and the decoder over it as it is."""

import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from imagetext.backbone import IN_INTEGERS, Backbone, load_backbone
from imagetext.captioner.engine import Captioner, DecodingOptions, load_captioner
from imagetext.captioner.model import CaptionModel, load_in_torch
from imagetext.captioner.vocabulary import Vocabulary, words_of
from imagetext.engines import Engines
from imagetext.errors import InvalidParameter
from imagetext.model_folder import CARD, CONFIG
from imagetext.pictures import open_picture
from imagetext.quantized import is_quantized
from imagetext.weights import changed_tensors, write_model_folder
from training.cards import quantized_captioner_card
from training.dataset import CaptionedPicture, read_split
from training.metrics import caption_scores
from training.quantizing import quantized_on

CAPTIONER = "captioner"  # the kind that a model folder's config names
BEAMS = 3
BATCH = 16


def quantize_captioner(photos: Path, source: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Writes the model and gives its scores on the dev split.

    Raises:
        InvalidParameter: it is no compact captioner, or in integers already.
    """
    captioner = load_in_torch(source)
    if not isinstance(captioner.backbone, Backbone) or is_quantized(captioner.backbone):
        raise InvalidParameter(f"{source} is no compact captioner in floating point.")
    backbone = quantized_on(read_split(photos, "train"), captioner.backbone, captioner.transform)
    card = (source / CARD).read_text(encoding="utf-8")
    write(source, folder, captioner, backbone, card)
    found = scores(load_captioner(folder, Engines()), read_split(photos, "dev"))
    (folder / CARD).write_text(quantized_captioner_card(card, found, BEAMS), encoding="utf-8")
    return {"photos": found}


def scores(captioner: Captioner, pictures: Sequence[CaptionedPicture]) -> dict[str, float]:
    """BLEU-1..4, ROUGE-L and CIDEr-D, as the model is served."""
    options, said = DecodingOptions(num_beams=BEAMS), list[list[str]]()
    for start in tqdm(range(0, len(pictures), BATCH), desc="dev", unit="batch"):
        batch = pictures[start : start + BATCH]
        inputs = [captioner.prepare(open_picture(picture.path, target=captioner.decoded_side)) for picture in batch]
        said += [words_of(found[0].text) for found in captioner.caption(inputs, options)]
    references = [[words_of(caption) for caption in picture.captions] for picture in pictures]
    return {name: round(score, 4) for name, score in caption_scores(said, references).items()}


def write(source: Path, folder: Path, captioner: CaptionModel, backbone: Backbone, card: str) -> None:
    assert isinstance(captioner.vocabulary, Vocabulary)
    config = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"backbone": IN_INTEGERS}
    start = load_backbone(IN_INTEGERS).state_dict()
    tensors = changed_tensors("decoder", captioner.decoder) | changed_tensors("backbone", backbone, start)
    words = "\n".join(captioner.vocabulary.words) + "\n"
    write_model_folder(folder, config, tensors, card, {"vocabulary.txt": words})
