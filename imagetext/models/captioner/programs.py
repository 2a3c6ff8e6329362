"""A captioner's two networks in the form that is exported for engines."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from imagetext.engines.network import example_pictures
from imagetext.engines.program import Program
from imagetext.models.backbone import Pixels
from imagetext.models.captioner.decoder import Decoder, Memory, repeated, selected
from imagetext.models.captioner.engine import ENCODER, STEP
from imagetext.models.transform import PictureTransform

STEPS = 20  # of the sentence that engines are compared on
# The largest error of an engine. bfloat16 is further off, and changed the sentence of one picture in fifteen: in beam
# search small differences decide.
LOG_PROBABILITY = 0.01
LIKELY = 21  # words that a step returns per row: enough for ten beams


class PictureEncoder(nn.Module):
    """Prepared pictures (n, 3, size, size) in bytes -> the decoder's memory of them."""

    def __init__(self, transform: PictureTransform, backbone: nn.Module, decoder: Decoder) -> None:
        super().__init__()
        self.pixels = Pixels(transform)
        self.backbone = backbone
        self.decoder = decoder

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return self.decoder.remember(self.backbone(self.pixels(pictures)))


class DecoderStep(nn.Module):
    """One decoder step: each row continues a row of the previous step.

    Words (rows,), parents (rows,), memory and state -> log probabilities and tokens of the `LIKELY` likeliest next
    words of each row; attention over the places; the new state.
    """

    mask: Tensor

    def __init__(self, decoder: Decoder, memory: int, words: int, banned: Sequence[int]) -> None:
        """`memory` is the number of memory tensors; `banned` tokens never occur in a sentence."""
        super().__init__()
        self.decoder = decoder
        self.memory = memory
        self.likely = min(LIKELY, words)
        mask = torch.zeros(words)
        mask[list(banned)] = -1e9  # not minus infinity, which engines may turn into NaN
        self.register_buffer("mask", mask)

    def forward(self, words: Tensor, parents: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        memory, state = tensors[: self.memory], tensors[self.memory :]
        logits, weights, state = self.decoder.step(words, memory, selected(state, parents))
        likely = (logits.float().log_softmax(-1) + self.mask).topk(self.likely)
        return (likely.values, likely.indices, weights, *state)


@torch.no_grad()  # exporters refuse inference-mode tensors
def programs(encoder: PictureEncoder, step: DecoderStep, size: int) -> tuple[Program, Program]:
    """Both, with examples: one picture, and the second word of three beams; and a sentence of two pictures."""
    pictures = torch.from_numpy(example_pictures(size))
    memory = encoder(pictures[:2])
    one = tuple(tensor[:1] for tensor in memory)
    example, state = list(_steps(step, one, 3, 2))[1], step.decoder.begin(one)
    grown = [_grows(before, after) for before, after in zip(state, example[2 + len(memory) :], strict=True)]
    free = ((0,), (0,), *[(0,)] * len(memory), *grown)
    return (
        Program(ENCODER, encoder, (pictures[:1],), ((0,),), ((pictures,),), int8=False),
        Program(STEP, step, example, free, tuple(_steps(step, memory, 3, STEPS)), LOG_PROBABILITY),
    )


def _steps(step: DecoderStep, memory: Memory, beams: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
    """The inputs of each step of the likeliest sentences, with the beams of a picture swapped at each step."""
    state = repeated(step.decoder.begin(memory), beams)
    rows = torch.arange(beams * len(memory[0]))
    words = torch.ones_like(rows)
    for _ in range(steps):
        yield (words, rows, *memory, *state)
        _, tokens, _, *grown = step(words, rows, *memory, *state)
        words, state = tokens[rows, rows % beams], tuple(grown)
        rows = rows // beams * beams + (rows + 1) % beams


def _grows(before: Tensor, after: Tensor) -> tuple[int, ...]:
    """The axes of a state that vary between calls: rows, and those that grow with each step."""
    return (0, *(axis for axis in range(1, before.dim()) if before.shape[axis] != after.shape[axis]))
