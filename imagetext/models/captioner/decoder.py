"""The interface of caption decoders, and the two networks of a captioner in the form that is exported for engines.

Memory and state are tuples of plain tensors, so that an inference engine can take and return them.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from imagetext.engines.export import Program
from imagetext.engines.network import example_pictures
from imagetext.models.backbone import Pixels
from imagetext.models.captioner.engine import ENCODER, STEP
from imagetext.models.transform import PictureTransform

# What every step reads about n pictures: each tensor has n rows.
Memory = tuple[Tensor, ...]
# The state of the open sentences: each tensor has a row for each of them.
State = tuple[Tensor, ...]
STEPS = 20  # of the sentence that engines are compared on
# The largest error of an engine. bfloat16 is further off, and changed the sentence of one picture in fifteen: in beam
# search small differences decide.
LOG_PROBABILITY = 0.01
LIKELY = 21  # words that a step returns per row: enough for ten beams


class Decoder(Protocol):
    """Picture features (n, places, channels) in, words out. Rows of one picture are adjacent."""

    words: int  # of the vocabulary
    memory_tensors: int  # in a memory

    @property
    def begins(self) -> tuple[tuple[int, bool], ...]:
        """For each tensor of the first state: the memory tensor it comes from, and whether whole or without steps."""
        ...

    def remember(self, features: Tensor) -> Memory:
        """The memory of n pictures."""
        ...

    def begin(self, memory: Memory) -> State:
        """The state before the first word, with one sentence for each picture."""
        ...

    def step(self, words: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        """The last words (rows,) -> logits (rows, vocabulary), attention over the places (rows, places), the state."""
        ...

    def teach(self, words: Tensor, memory: Memory, counted: Tensor) -> Tensor:
        """Teacher forcing: words (rows, steps), start token first -> logits of the word after each counted one.

        `counted` (rows, steps) is boolean; the logits are (steps counted, vocabulary).
        """
        ...


def selected(state: State, parents: Tensor) -> State:
    """The state of the rows in `parents`, in that order."""
    return tuple(tensor.index_select(0, parents) for tensor in state)


def repeated(state: State, times: int) -> State:
    """Each row `times` times in a row: one for each beam or caption."""
    return tuple(tensor.repeat_interleave(times, 0) for tensor in state)


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
