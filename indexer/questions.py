"""Texts as people may search for, so that an index is tuned on words too: they lie apart from the pictures."""

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imagetext.index.kinds import FLAT, IndexOptions, plans

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

_WHO = (
    *("a dog", "two children", "a man in a red shirt", "an old woman", "a group of people", "a cat", "a cyclist"),
    *("a horse", "a bird", "flowers", "a car", "a plate of food"),
)
_WHERE = ("", "on the beach", "in the snow", "in a city street at night", "indoors", "beside water", "in a green field")


def question_vectors(encoder: "Encoder", wanted: IndexOptions, size: int) -> NDArray[np.float32] | None:
    """Unit vectors (n, dimensions) of some dozens of short texts; None where exact search comes first anyway.

    Raises:
        InvalidParameter: no kind of index fits into the memory.
    """
    if plans(wanted, size, encoder.dimensions)[0].kind == FLAT:
        return None
    return encoder.encode_texts([f"{who} {where}".strip() for who, where in product(_WHO, _WHERE)])
