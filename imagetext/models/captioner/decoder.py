"""The interface of caption decoders, for beam search and for training.

Memory and state are tuples of plain tensors, so that an inference engine can take and return them.
"""

from typing import Protocol

from torch import Tensor

# What every step reads about n pictures: each tensor has n rows.
Memory = tuple[Tensor, ...]
# The state of the open sentences: each tensor has a row for each of them.
State = tuple[Tensor, ...]


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
