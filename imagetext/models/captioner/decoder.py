"""What a captioner's search and its training need of a decoder, whatever is inside.

What a decoder keeps is tuples of plain tensors, so that an inference engine can take them in and give them back.
"""

from typing import Protocol

from torch import Tensor

# What every step reads of n pictures: each tensor has n rows.
Memory = tuple[Tensor, ...]
# What is kept of the sentences begun: each tensor has a row for each of them.
State = tuple[Tensor, ...]


class Decoder(Protocol):
    """Pictures' features (n, places, channels) in, words out. Rows of one picture lie together."""

    words: int  # of the vocabulary
    memory_tensors: int  # in a memory

    @property
    def begins(self) -> tuple[tuple[int, bool], ...]:
        """Of each tensor of a first state: which tensor of the memory it is, and whether whole or without steps."""
        ...

    def remember(self, features: Tensor) -> Memory:
        """What every step reads of n pictures."""
        ...

    def begin(self, memory: Memory) -> State:
        """The state before the first word, with one sentence for each picture."""
        ...

    def step(self, words: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        """The last words (rows,) -> logits (rows, vocabulary), attention over the places (rows, places), the state."""
        ...

    def teach(self, words: Tensor, memory: Memory, counted: Tensor) -> Tensor:
        """Teacher forcing: words (rows, steps) from the start token on -> logits of the word after each one counted.

        `counted` (rows, steps) is boolean; the logits are (steps counted, vocabulary).
        """
        ...


def selected(state: State, parents: Tensor) -> State:
    """The state of the rows that go on, in their new order."""
    return tuple(tensor.index_select(0, parents) for tensor in state)


def repeated(state: State, times: int) -> State:
    """Each row `times` times in a row: one for each beam or caption."""
    return tuple(tensor.repeat_interleave(times, 0) for tensor in state)
