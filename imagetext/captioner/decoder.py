"""What a captioner's search and its training need of a decoder, whatever is inside."""

from typing import Any, Protocol

from torch import Tensor

# What a decoder keeps of pictures, and of the sentences begun; each decoder has its own.
Memory = Any


class State(Protocol):
    def select(self, parents: Tensor) -> "State":
        """The state of the rows that go on, in their new order."""
        ...


class Decoder(Protocol):
    """Pictures' features (n, places, channels) in, words out. Rows of one picture lie together."""

    def remember(self, features: Tensor) -> Memory:
        """What every step reads of n pictures."""
        ...

    def begin(self, memory: Memory, rows_each: int) -> Any:
        """The state before the first word, with `rows_each` sentences for each picture."""
        ...

    def step(self, words: Tensor, memory: Memory, state: Any) -> tuple[Tensor, Tensor, Any]:
        """The last words (rows,) -> logits (rows, vocabulary), attention over the places (rows, places), the state."""
        ...

    def teach(self, words: Tensor, memory: Memory, counted: Tensor) -> Tensor:
        """Teacher forcing: words (rows, steps) from the start token on -> logits of the word after each one counted.

        `counted` (rows, steps) is boolean; the logits are (steps counted, vocabulary).
        """
        ...
