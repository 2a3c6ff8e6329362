"""A dev split that CLIP models are scored on."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from imagetext.errors import InvalidParameter
from training.clip.reading import Reader
from training.clip.scores import clip_scores
from training.dataset import read_split

Encode = Callable[[Tensor], Tensor]


class DevSplit:
    """The first pictures of a dev split with all their captions."""

    def __init__(self, folder: Path, reader: Reader, most: int) -> None:
        self.name = folder.name
        self.reader = reader
        self.pictures = read_split(folder, "dev")[:most]
        self.tokens = reader.tokens([caption for one in self.pictures for caption in one.captions])

    @torch.no_grad()
    def scores(self, encode_pictures: Encode, encode_texts: Encode, chunk: int) -> dict[str, float]:
        """Both directions; `chunk` pictures or texts are encoded at once.

        Raises:
            InvalidParameter: a picture cannot be read. A dev split must be whole, or its scores would not compare.
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
