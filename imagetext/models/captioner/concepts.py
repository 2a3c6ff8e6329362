"""What a classifier recognises in a picture, as places of attention beside the picture's grid.

The decoder learns to use a name even if no captioned picture showed the thing, because names can be learned from
sentences alone (ViECap: Fei et al., 2023, "Transferable Decoding with Visual Entities for Zero-Shot
Image Captioning").
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NAME_WIDTH = 384  # of MiniLM's states
# Factors of the logits, one attention position each: from all that may be there to the likeliest name alone. A list of
# the likeliest names would say more, but where two are nearly level, engines would list them differently.
SHARPNESS = (0.7, 1.5, 3.0)


LEAST = 1e-9  # far below the probability of any word in a caption
COPYING = 1.5  # the sharpness of the copy distribution


class Concepts(nn.Module):
    """A classifier over the pooled grid. `vectors` (names, NAME_WIDTH) are MiniLM states of its names; `words` (names,
    sayable) are the words that a caption may use for each name, with rows that sum to 1.

    The decoder attends to the vectors and may copy the words (See et al., 2017, "Get To The Point: Summarization with
    Pointer-Generator Networks"), so it can use words that no training caption used of a picture.
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
        # The column in `words` of each vocabulary word; one past the last column if it has none.
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
        # As a product: OpenVINO 2026.4 fuses a mean over rows with the next layer and gets other numbers.
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
        """The copy distribution (rows, vocabulary) after the words (rows,): nothing is copied twice."""
        others = torch.arange(copied.shape[1], device=copied.device) != words[:, None]
        return copied * others.to(copied.dtype)

    def spoken(self, hidden: Tensor, logits: Tensor, copied: Tensor) -> Tensor:
        """The decoder's last states (..., width), its logits and the copy distribution (both ..., vocabulary) -> log
        probabilities (..., vocabulary)."""
        likely, whole = copied.amax(-1, keepdim=True), copied.sum(-1, keepdim=True)
        gate = torch.sigmoid(self.gate(torch.cat([hidden, likely], -1)))
        return ((1 - gate * whole) * logits.float().softmax(-1) + gate * copied + LEAST).log()

    def taught(self, hidden: Tensor, logits: Tensor, copied: Tensor, counted: Tensor) -> Tensor:
        """As `spoken`, for whole sentences: hidden (rows, steps, width), logits (steps counted, vocabulary), copied
        (pictures, vocabulary). Reference sentences seldom repeat a word, so repeats are not masked."""
        rows = counted.nonzero()[:, 0] // (len(counted) // len(copied))
        return self.spoken(hidden[counted], logits, copied[rows])


def of_grid(weights: Tensor) -> Tensor:
    """Attention over all places (rows, places) -> over those of the grid alone; sums to 1 again."""
    weights = weights[:, : -len(SHARPNESS)]
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
