"""What a classifier recognises in a picture, as places of attention beside the picture's grid.

A decoder learns to say what is there from its name, also where no captioned picture showed it: names can be had without
pictures, from sentences alone (ViECap: Fei et al., 2023, "Transferable Decoding with Visual Entities for Zero-Shot
Image Captioning").
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NAME_WIDTH = 384  # of MiniLM's states
# Of the logits, one place each: from everything that may be there to the likeliest alone. A list of the likeliest names
# would tell more, but where two are nearly level, two engines would list them differently.
SHARPNESS = (0.7, 1.5, 3.0)


LEAST = 1e-9  # far below the probability of any word that is said
COPYING = 1.5  # the sharpness of what is copied


class Concepts(nn.Module):
    """A classifier over the pooled grid. Its names are states of MiniLM, `vectors` (names, NAME_WIDTH), and each has
    words that a caption may use for it, `words` (names, sayable), rows of which sum to 1.

    A decoder attends to the former and may copy the latter (See et al., 2017, "Get To The Point: Summarization with
    Pointer-Generator Networks"): so it can say what no caption in training said of a picture.
    """

    mean: Tensor
    std: Tensor
    vectors: Tensor
    words: Tensor
    column: Tensor
    sharpness: Tensor

    def __init__(self, channels: int, names: int, width: int, vocabulary: int, sayable: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.register_buffer("vectors", torch.zeros(names, NAME_WIDTH))
        self.register_buffer("words", torch.zeros(names, sayable))
        # Of each word of the vocabulary its column in `words`; one beyond the last where it has none.
        self.register_buffer("column", torch.full((vocabulary,), sayable))
        self.register_buffer("sharpness", torch.tensor(SHARPNESS), persistent=False)
        self.classifier = nn.Linear(channels, names)
        self.project = nn.Linear(NAME_WIDTH, width)
        self.norm = nn.LayerNorm(width)
        self.positions = nn.Parameter(torch.zeros(len(SHARPNESS), width))
        self.gate = nn.Linear(width + 1, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, -2.0)

    def logits(self, features: Tensor) -> Tensor:
        """Features (n, places, channels) -> (n, names)."""
        # As a product: OpenVINO 2026.4 joins a mean over rows with what follows it, and gives other numbers.
        evenly = features.new_full((1, features.shape[1]), 1.0 / features.shape[1])
        logits: Tensor = self.classifier(((evenly @ features)[:, 0] - self.mean) / self.std)
        return logits

    def places(self, logits: Tensor) -> Tensor:
        """(n, names) -> places beside the grid (n, len(SHARPNESS), width): the mean of the names' states, weighted."""
        probabilities = (logits[:, None] * self.sharpness[:, None]).softmax(-1)
        places: Tensor = self.norm(F.relu(self.project(probabilities @ self.vectors)) + self.positions)
        return places

    def copied(self, logits: Tensor) -> Tensor:
        """(n, names) -> the probability of each word if it is copied, (n, vocabulary)."""
        words = (logits * COPYING).softmax(-1) @ self.words
        return F.pad(words, (0, 1))[:, self.column]

    def left(self, copied: Tensor, words: Tensor) -> Tensor:
        """What may still be copied (rows, vocabulary) after the words (rows,): nothing is copied twice."""
        others = torch.arange(copied.shape[1], device=copied.device) != words[:, None]
        return copied * others.to(copied.dtype)

    def spoken(self, hidden: Tensor, logits: Tensor, copied: Tensor) -> Tensor:
        """The decoder's last states (..., width), its logits and what may be copied (both ..., vocabulary) -> log
        probabilities (..., vocabulary)."""
        likely, whole = copied.amax(-1, keepdim=True), copied.sum(-1, keepdim=True)
        gate = torch.sigmoid(self.gate(torch.cat([hidden, likely], -1)))
        return ((1 - gate * whole) * logits.float().softmax(-1) + gate * copied + LEAST).log()

    def taught(self, hidden: Tensor, logits: Tensor, copied: Tensor, counted: Tensor) -> Tensor:
        """As `spoken`, of whole sentences: hidden (rows, steps, width), logits (steps counted, vocabulary), copied
        (pictures, vocabulary). True sentences seldom say a word twice, and what was said is not looked up."""
        rows = counted.nonzero()[:, 0] // (len(counted) // len(copied))
        return self.spoken(hidden[counted], logits, copied[rows])


def of_grid(weights: Tensor) -> Tensor:
    """Attention over all places (rows, places) -> over those of the grid alone; sums to 1 again."""
    weights = weights[:, : -len(SHARPNESS)]
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
