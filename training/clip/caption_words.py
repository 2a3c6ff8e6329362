"""The captions of a split as word ids, and the drawing of some of them for a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imagetext.captioner.vocabulary import PAD, START, UNKNOWN, Vocabulary, words_of
from imagetext.encoder.tokenizer import word_ids
from training.captions import SIDES
from training.clip.drawing import draw_captions
from training.dataset import CaptionedPicture


@dataclass(frozen=True)
class CaptionWords:
    """The captions of all pictures, one after the other.

    Attributes:
        ids: (captions, steps), padded with 0.
        sided: (captions,), which of them say left or right, so that no mirrored picture fits.
        first: (pictures,), where each picture's captions begin.
        count: (pictures,), how many it has.
    """

    ids: Tensor
    sided: Tensor
    first: Tensor
    count: Tensor

    @classmethod
    def of(cls, pictures: Sequence[CaptionedPicture], vocabulary: Vocabulary, max_words: int) -> "CaptionWords":
        captions = [caption for picture in pictures for caption in picture.captions]
        count = torch.tensor([len(picture.captions) for picture in pictures])
        sided = torch.tensor([bool(SIDES & set(words_of(caption))) for caption in captions])
        ids = torch.from_numpy(word_ids(captions, vocabulary, max_words))
        return cls(ids, sided, count.cumsum(0) - count, count)

    def draw(self, pictures: Tensor, number: int) -> Tensor:
        """Some captions of each picture, all different where it has as many: (n, number)."""
        return self.first[pictures, None] + draw_captions(self.count[pictures], number)


def shortened(words: Tensor) -> Tensor:
    """Without the columns in which all are padding."""
    return words[:, : int((words != PAD).sum(1).max())]


def dropped(words: Tensor, share: float) -> Tensor:
    """A share of the words, drawn anew, is read as unknown: no single word may carry a caption."""
    lost = (torch.rand(words.shape) < share) & (words != PAD) & (words != START)
    return torch.where(lost, UNKNOWN, words)
