"""A mix of data sets: how much of each a pass takes, and in which batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from imagetext.captioner.vocabulary import words_of
from imagetext.errors import InvalidParameter
from training.captions import SIDES
from training.clip.drawing import draw_captions
from training.dataset import CaptionedPicture, read_split
from training.processes import Processes


@dataclass(frozen=True)
class Source:
    """A data set and its weight: a pass takes that share of its pictures, drawn anew; 2 takes every picture twice."""

    folder: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "Source":
        """DIR or DIR:WEIGHT. Raises InvalidParameter for a weight that is not above 0."""
        folder, colon, weight = text.rpartition(":")
        try:
            source = cls(Path(folder), float(weight)) if colon else cls(Path(text))
        except ValueError:
            return cls(Path(text))  # a colon that belongs to the folder's name
        if not 0 < source.weight < float("inf"):
            raise InvalidParameter(f"The weight of {folder} must be above 0.")
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

    def turns(self) -> list[Tensor]:
        """The pictures of a pass, shuffled; within one of the tensors none comes twice."""
        whole, rest = divmod(round(self.weight * len(self.pictures)), len(self.pictures))
        sizes = [len(self.pictures)] * whole + [rest] * (rest > 0)
        return [torch.randperm(len(self.pictures))[:size] for size in sizes]


@dataclass(frozen=True)
class Batch:
    """What a step sees: some pictures of one set, with the captions drawn and the part of each picture.

    Attributes:
        rows: (n,).
        captions: (n, captions).
        boxes: (n, 4), left, top, right and bottom of each crop, in [0, 1].
        mirrored: (n,), never where a drawn caption says left or right.
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
        """The pictures that this process takes."""
        own = map(processes.share, (self.rows, self.captions, self.boxes, self.mirrored))
        return Batch(self.part, *own)


def draw_pass(sets: Sequence[CaptionedSet], size: int, captions: int, smallest: float, mirror: bool) -> list[Batch]:
    """All batches of a pass, shuffled, each from one set: among pictures of one kind the negatives are harder.

    All chance is torch's, and all of it is drawn here, so that what prepares the batches may run ahead.
    """
    parts = [(part, rows) for part in sets for turn in part.turns() for rows in torch.split(turn, size)]
    # One picture alone has no negatives.
    parts = [(part, rows) for part, rows in parts if len(rows) > 1]
    shuffled = (parts[number] for number in torch.randperm(len(parts)).tolist())
    return [_batch(part, rows, captions, smallest, mirror) for part, rows in shuffled]


def _batch(part: CaptionedSet, rows: Tensor, captions: int, smallest: float, mirror: bool) -> Batch:
    drawn = draw_captions(part.counts[rows], captions)
    batch = Batch(part, rows, drawn, _boxes(len(rows), smallest), (torch.rand(len(rows)) < 0.5) & mirror)
    sided = [any(SIDES & set(words_of(text)) for text in texts) for texts in batch.texts()]
    return Batch(part, rows, drawn, batch.boxes, batch.mirrored & ~torch.tensor(sided))


def _boxes(count: int, smallest: float) -> Tensor:
    """Crops of a picture's own shape that keep from `smallest` to all of its area: (n, 4) in [0, 1]."""
    side = (smallest + (1 - smallest) * torch.rand(count, 1)).sqrt()
    corner = torch.rand(count, 2) * (1 - side)
    return torch.cat([corner, corner + side], 1)
