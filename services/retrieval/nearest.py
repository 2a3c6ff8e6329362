"""The rows of an index that are nearest to a vector, in an order that does not change."""

import numpy as np
from numpy.typing import NDArray

from imagetext.index.open_version import OpenVersion

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]


def best(reader: OpenVersion, vector: Scores, count: int, allowed: Rows | None = None) -> tuple[Scores, Rows]:
    """The `count` best rows and some more, in the order of score and then of row.

    Of rows that score the same FAISS may return any. So that pages neither overlap nor leave a row out, more are
    fetched until a row scores less than the `count`-th: then all that tie with that one are there.
    """
    fetched = count + 1
    while True:
        scores, rows = (found[0] for found in reader.search(vector[None], fetched, allowed))
        if len(rows) < fetched or scores[-1] < scores[count - 1]:
            break
        fetched *= 2
    order = np.lexsort((rows, -scores))
    return scores[order], rows[order]
