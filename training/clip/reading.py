"""Batches made ready ahead of the step that needs them: pictures decoded and cut, captions as tokens."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageOps
from torch import Tensor

from imagetext.errors import ImageTextError
from imagetext.pictures import open_picture
from imagetext.transform import DECODED_SIDE, PictureTransform
from training.clip.mix import Batch
from training.dataset import CaptionedPicture

AHEAD = 2  # batches
THREADS = 2
WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Ready:
    """Pictures (n, 3, size, size) as the network takes them, and the tokens of their captions (n * captions, 2, steps):
    ids, and which of them count. `unreadable` pictures were left out with their captions."""

    pictures: Tensor
    tokens: Tensor
    unreadable: int


class Reader:
    """Makes batches ready for one model."""

    def __init__(self, transform: PictureTransform, tokenizer: Any, max_tokens: int) -> None:
        self.transform = transform
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    def batches(self, plan: Sequence[Batch]) -> Iterator[Ready]:
        """In the order of the plan; a few are always under way."""
        with ThreadPoolExecutor(THREADS) as pool:
            waiting: list[tuple[Batch, list[Future[NDArray[np.uint8] | None]]]] = []
            for batch in plan:
                waiting.append((batch, self._begin(pool, batch)))
                if len(waiting) > AHEAD:
                    yield self._finish(*waiting.pop(0))
            for batch, pictures in waiting:
                yield self._finish(batch, pictures)

    def picture(
        self, picture: CaptionedPicture, box: Sequence[float] = WHOLE, mirrored: bool = False
    ) -> NDArray[np.uint8] | None:
        """A model input in bytes (3, size, size); None where the file cannot be read."""
        try:
            opened = open_picture(picture.path, target=DECODED_SIDE)
        except ImageTextError:
            return None
        left, top, right, bottom = box
        wide, high = opened.size
        cut = opened.crop((round(left * wide), round(top * high), round(right * wide), round(bottom * high)))
        return self.transform.resize(ImageOps.mirror(cut) if mirrored else cut)

    def scaled(self, inputs: Sequence[NDArray[np.uint8]]) -> Tensor:
        return torch.from_numpy(self.transform.scale(np.stack(inputs)))

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """(n, 2, steps): ids, and which of them count."""
        batch = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )
        return torch.stack([batch["input_ids"], batch["attention_mask"]], 1)

    def _begin(self, pool: ThreadPoolExecutor, batch: Batch) -> list[Future[NDArray[np.uint8] | None]]:
        rows, boxes, mirrored = batch.rows.tolist(), batch.boxes.tolist(), batch.mirrored.tolist()
        return [
            pool.submit(self.picture, batch.part.pictures[row], box, turned)
            for row, box, turned in zip(rows, boxes, mirrored, strict=True)
        ]

    def _finish(self, batch: Batch, pictures: Sequence[Future[NDArray[np.uint8] | None]]) -> Ready:
        found = [(one.result(), texts) for one, texts in zip(pictures, batch.texts(), strict=True)]
        readable = [(picture, texts) for picture, texts in found if picture is not None]
        if not readable:
            size = self.transform.size
            return Ready(torch.empty(0, 3, size, size), torch.empty(0, 2, 0), len(found) - len(readable))
        inputs = self.scaled([picture for picture, _ in readable])
        return Ready(inputs, self.tokens([text for _, texts in readable for text in texts]), len(found) - len(readable))
