"""A captioner's two networks as inference engines take them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from imagetext.engines.network import example_pictures
from imagetext.engines.program import Program
from imagetext.models.backbone import Pixels
from imagetext.models.captioner.decoder import Decoder, Memory, repeated, selected
from imagetext.models.captioner.engine import ENCODER, STEP
from imagetext.models.transform import PictureTransform

STEPS = 20  # of the sentence on which engines are compared
# That an engine may be off. bfloat16 is off by more, and wrote another sentence for one picture in fifteen: in a search
# small differences decide.
LOG_PROBABILITY = 0.01
LIKELY = 21  # words a step names for each row: what a search with ten beams asks for


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
    """One step: each row goes on from a row of the step before.

    Words (rows,), parents (rows,), memory and state -> of each row the `LIKELY` likeliest next words, their log
    probabilities first; attention over the places; the state.
    """

    mask: Tensor

    def __init__(self, decoder: Decoder, memory: int, words: int, banned: Sequence[int]) -> None:
        """`memory` counts the tensors of a memory; `banned` are the tokens no sentence may hold."""
        super().__init__()
        self.decoder = decoder
        self.memory = memory
        self.likely = min(LIKELY, words)
        mask = torch.zeros(words)
        mask[list(banned)] = -1e9  # not minus infinity, from which engines may make NaN
        self.register_buffer("mask", mask)

    def forward(self, words: Tensor, parents: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        memory, state = tensors[: self.memory], tensors[self.memory :]
        logits, weights, state = self.decoder.step(words, memory, selected(state, parents))
        likely = (logits.float().log_softmax(-1) + self.mask).topk(self.likely)
        return (likely.values, likely.indices, weights, *state)


@torch.no_grad()  # exporters take no tensors of inference mode
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
    """The inputs of each step of the likeliest sentences, the beams of a picture changing places."""
    state = repeated(step.decoder.begin(memory), beams)
    rows = torch.arange(beams * len(memory[0]))
    words = torch.ones_like(rows)
    for _ in range(steps):
        yield (words, rows, *memory, *state)
        _, tokens, _, *grown = step(words, rows, *memory, *state)
        words, state = tokens[rows, rows % beams], tuple(grown)
        rows = rows // beams * beams + (rows + 1) % beams


def _grows(before: Tensor, after: Tensor) -> tuple[int, ...]:
    """The axes of a state that differ between calls: its rows, and what a step makes longer."""
    return (0, *(axis for axis in range(1, before.dim()) if before.shape[axis] != after.shape[axis]))
