"""Batches of captioned pictures for the captioner: features in, token ids and references out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imagetext.models.captioner.vocabulary import END, PAD, START, Vocabulary, words_of
from training.dataset import CaptionedPicture
from training.features import WHOLE, Features
from training.processes import Processes

SIDES = frozenset({"left", "right"})


@dataclass(frozen=True)
class CaptionSet:
    """Pictures with features, and their captions as ids: `tokens` (pictures, captions, steps), padded, with the end."""

    pictures: Sequence[CaptionedPicture]
    features: Features
    tokens: Tensor
    sided: Tensor  # (pictures,): a caption says left or right, so no mirrored view fits

    def views(self, rows: Tensor) -> Tensor:
        """The trunk's maps of a random view for each row."""
        count = len(self.features.mirrored)
        view = torch.randint(count, rows.shape)
        mirrored = torch.tensor(self.features.mirrored)[view] & self.sided[rows]
        return self.features.of(rows, torch.where(mirrored, WHOLE, view))

    def whole(self, rows: Tensor) -> Tensor:
        return self.features.of(rows, torch.full_like(rows, WHOLE))


def caption_set(
    pictures: Sequence[CaptionedPicture], features: Features, vocabulary: Vocabulary, max_words: int
) -> CaptionSet:
    """Every picture needs the same number of captions; words beyond `max_words` are cut off, the end with them."""
    captions = len(pictures[0].captions)
    tokens = torch.full((len(pictures), captions, max_words + 1), PAD)
    for row, picture in enumerate(pictures):
        for column, caption in enumerate(picture.captions):
            ids = [*vocabulary.encode(caption), END][: max_words + 1]
            tokens[row, column, : len(ids)] = torch.tensor(ids)
    sides = torch.tensor([bool(sided(picture.captions).any()) for picture in pictures])
    return CaptionSet(pictures, features, tokens, sides)


def sided(captions: Sequence[str]) -> Tensor:
    """Of each caption, whether no mirrored view of its picture fits it."""
    return torch.tensor([bool(SIDES & set(words_of(caption))) for caption in captions])


def batches(sets: Sequence[CaptionSet], size: int, processes: Processes) -> Iterator[tuple[CaptionSet, Tensor]]:
    """All pictures of all sets once, shuffled, each batch from one set; this process's share of each batch."""
    processes.draw_alike()
    whole = [(part, rows) for part in sets for rows in torch.split(torch.randperm(len(part.pictures)), size)]
    order = torch.randperm(len(whole)).tolist()
    processes.draw_apart()
    for part, rows in (whole[number] for number in order):
        own = processes.share(rows)
        # The others wait for the gradient of each process, so none may be without a picture.
        yield part, own if len(own) else rows[-1:]


def shifted(tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids (rows, steps) with the end -> inputs beginning with the start, targets, which of them count."""
    longest = int((tokens != PAD).sum(1).max())
    targets = tokens[:, :longest]
    inputs = torch.cat([targets.new_full((len(targets), 1), START), targets[:, :-1]], 1)
    return inputs, targets, targets != PAD
