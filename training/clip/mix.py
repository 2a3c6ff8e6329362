"""A mix of data sets for CLIP: what an epoch takes of each, its batches, prepared ahead of the steps, and dev splits
for scoring.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageOps
from torch import Tensor

from imagetext.models.captioner.vocabulary import words_of
from imagetext.models.transform import DECODED_SIDE, PictureTransform
from imagetext.pictures import open_picture
from imagetext.wire.errors import ImageTextError, InvalidParameter
from training.captions import SIDES
from training.dataset import CaptionedPicture, read_split
from training.processes import Processes
from training.ranking import clip_scores

AHEAD = 2  # batches
THREADS = 2
WHOLE = (0.0, 0.0, 1.0, 1.0)  # the box of an uncropped picture
Encode = Callable[[Tensor], Tensor]


def draw_captions(counts: Tensor, number: int) -> Tensor:
    """`number` captions of each picture, by their places from 0: (n, number). `counts` (n,) says how many there are.

    All are different if the picture has that many; otherwise each is drawn about equally often.
    """
    order = torch.rand(len(counts), int(counts.max()))
    order.masked_fill_(torch.arange(order.shape[1]) >= counts[:, None], 2.0)
    return order.argsort(1).gather(1, torch.arange(number) % counts[:, None])


@dataclass(frozen=True)
class Source:
    """A data set and its weight: the share of its pictures drawn for each epoch; 2 takes every picture twice."""

    folder: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "Source":
        """DIR or DIR:WEIGHT. Raises InvalidParameter for a weight that is not positive."""
        folder, colon, weight = text.rpartition(":")
        try:
            source = cls(Path(folder), float(weight)) if colon else cls(Path(text))
        except ValueError:
            return cls(Path(text))  # the colon belongs to the folder's name
        if not 0 < source.weight < float("inf"):
            raise InvalidParameter(f"The weight of {folder} must be positive and finite, not {weight}.")
        return source

    def __str__(self) -> str:
        return f"{self.folder.name} (weight {self.weight:g})"


@dataclass(frozen=True)
class CaptionedSet:
    """The training pictures of a data set, with the number of captions of each (n,)."""

    pictures: Sequence[CaptionedPicture]
    counts: Tensor
    weight: float

    @classmethod
    def read(cls, source: Source) -> "CaptionedSet":
        pictures = read_split(source.folder, "train")
        return cls(pictures, torch.tensor([len(picture.captions) for picture in pictures]), source.weight)

    def rounds(self) -> list[Tensor]:
        """The pictures of an epoch, shuffled; no picture occurs twice in one of the tensors."""
        whole, rest = divmod(round(self.weight * len(self.pictures)), len(self.pictures))
        sizes = [len(self.pictures)] * whole + [rest] * (rest > 0)
        return [torch.randperm(len(self.pictures))[:size] for size in sizes]


@dataclass(frozen=True)
class Batch:
    """One step's pictures of one set, with the captions drawn and the crop of each picture.

    Attributes:
        rows: (n,).
        captions: (n, captions).
        boxes: (n, 4), left, top, right and bottom of each crop, in [0, 1].
        mirrored: (n,), never if a drawn caption says left or right.
    """

    part: CaptionedSet
    rows: Tensor
    captions: Tensor
    boxes: Tensor
    mirrored: Tensor

    def texts(self) -> list[list[str]]:
        """The drawn captions of each picture."""
        pictures = [self.part.pictures[row] for row in self.rows.tolist()]
        return [[one.captions[c] for c in drawn] for one, drawn in zip(pictures, self.captions.tolist(), strict=True)]

    def share(self, processes: Processes) -> "Batch":
        """This process's share of the pictures."""
        own = map(processes.share, (self.rows, self.captions, self.boxes, self.mirrored))
        return Batch(self.part, *own)


def draw_pass(sets: Sequence[CaptionedSet], size: int, captions: int, smallest: float, mirror: bool) -> list[Batch]:
    """All batches of an epoch, shuffled, each from one set: among pictures of one kind the negatives are harder.

    All random numbers come from torch and are drawn here, so that batches can be prepared ahead.
    """
    parts = [(part, rows) for part in sets for round_ in part.rounds() for rows in torch.split(round_, size)]
    # A single picture has no negatives.
    parts = [(part, rows) for part, rows in parts if len(rows) > 1]
    shuffled = (parts[number] for number in torch.randperm(len(parts)).tolist())
    return [_batch(part, rows, captions, smallest, mirror) for part, rows in shuffled]


def _batch(part: CaptionedSet, rows: Tensor, captions: int, smallest: float, mirror: bool) -> Batch:
    drawn = draw_captions(part.counts[rows], captions)
    batch = Batch(part, rows, drawn, _boxes(len(rows), smallest), (torch.rand(len(rows)) < 0.5) & mirror)
    sided = [any(SIDES & set(words_of(text)) for text in texts) for texts in batch.texts()]
    return Batch(part, rows, drawn, batch.boxes, batch.mirrored & ~torch.tensor(sided))


def _boxes(count: int, smallest: float) -> Tensor:
    """Crops with the picture's aspect ratio and at least `smallest` of its area: (n, 4) in [0, 1]."""
    side = (smallest + (1 - smallest) * torch.rand(count, 1)).sqrt()
    corner = torch.rand(count, 2) * (1 - side)
    return torch.cat([corner, corner + side], 1)


@dataclass(frozen=True)
class Ready:
    """Scaled pictures (n, 3, size, size), and the tokens of their captions (n * captions, 2, steps): ids and mask.
    `unreadable` pictures are left out with their captions."""

    pictures: Tensor
    tokens: Tensor
    unreadable: int


class Reader:
    """Prepares batches for one model: pictures decoded and cropped, captions tokenised."""

    def __init__(self, transform: PictureTransform, tokenizer: Any, max_tokens: int) -> None:
        self.transform = transform
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    def batches(self, plan: Sequence[Batch]) -> Iterator[Ready]:
        """In the order of the plan; a few are always being prepared ahead."""
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
        """A model input in bytes (3, size, size); None if the file cannot be read."""
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
        """(n, 2, steps): ids and mask."""
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


class DevSplit:
    """The first pictures of a dev split with all their captions."""

    def __init__(self, folder: Path, reader: Reader, most: int) -> None:
        self.name = folder.name
        self.reader = reader
        self.pictures = read_split(folder, "dev")[:most]
        self.tokens = reader.tokens([caption for one in self.pictures for caption in one.captions])

    @torch.no_grad()
    def scores(self, encode_pictures: Encode, encode_texts: Encode, chunk: int) -> dict[str, float]:
        """Recall both ways; `chunk` pictures or texts are encoded at once.

        Raises:
            InvalidParameter: a picture cannot be read. An incomplete dev split would give incomparable scores.
        """
        texts = [encode_texts(part).cpu() for part in torch.split(self.tokens, chunk)]
        pictures = []
        for first in range(0, len(self.pictures), chunk):
            some = self.pictures[first : first + chunk]
            inputs = [self.reader.picture(one) for one in some]
            unread = [one.name for one, found in zip(some, inputs, strict=True) if found is None]
            if unread:
                raise InvalidParameter(f"{unread[0]} of the dev split in {self.name} cannot be read.")
            pictures.append(encode_pictures(self.reader.scaled([one for one in inputs if one is not None])).cpu())
        counts = [len(one.captions) for one in self.pictures]
        return clip_scores(torch.cat(texts).numpy(), torch.cat(pictures).numpy(), counts)
