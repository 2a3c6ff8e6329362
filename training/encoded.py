"""Captioned pictures and texts through served models: embeddings and captions."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.models.captioner.engine import Captioner, DecodedCaption, DecodingOptions
from imagetext.models.encoder.engine import Encoder
from imagetext.pictures import open_picture
from training.dataset import CaptionedPicture

BATCH = 32
CAPTION_BATCH = 16


def encode_pictures(encoder: Encoder, pictures: Sequence[CaptionedPicture]) -> NDArray[np.float32]:
    """Unit rows (n, dimensions). Raises ImageTextError for a picture that cannot be read."""

    def prepare(picture: CaptionedPicture) -> NDArray[np.uint8]:
        return encoder.prepare(open_picture(picture.path))

    rows = []
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(pictures), BATCH), desc="pictures", unit="batch"):
            rows.append(encoder.encode_pictures(list(pool.map(prepare, pictures[start : start + BATCH]))))
    return np.concatenate(rows)


def encode_texts(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit rows (n, dimensions) in the order of the texts, which are batched by length."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    rows = np.empty((len(texts), encoder.dimensions), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        some = order[start : start + BATCH]
        rows[some] = encoder.encode_texts([texts[place] for place in some])
    return rows


def caption_pictures(captioner: Captioner, pictures: Sequence[CaptionedPicture], beams: int) -> list[DecodedCaption]:
    """The best caption of each picture. Raises ImageTextError for a picture that cannot be read."""
    options, best = DecodingOptions(num_beams=beams), list[DecodedCaption]()
    for start in tqdm(range(0, len(pictures), CAPTION_BATCH), desc="captions", unit="batch", leave=False):
        batch = pictures[start : start + CAPTION_BATCH]
        inputs = [captioner.prepare(open_picture(picture.path, target=captioner.decoded_side)) for picture in batch]
        best += [captions[0] for captions in captioner.caption(inputs, options)]
    return best
