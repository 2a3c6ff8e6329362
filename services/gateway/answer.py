"""An answer and where it came from."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Source = Literal["hit", "miss", "partial"]


@dataclass(frozen=True)
class Answer(Generic[T]):
    reply: T
    source: Source  # as the header X-Cache says it
