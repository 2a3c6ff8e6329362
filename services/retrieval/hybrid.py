"""The ranking of a vector fused with that of words in captions, tags and paths."""

import numpy as np
from numpy.typing import NDArray

from imagetext.index.fusion import fuse
from imagetext.index.open_version import OpenVersion
from imagetext.search_filter import SearchFilter
from services.retrieval.nearest import Rows, Scores, best

FUSED = 100  # rows of each ranking that are fused; an approximate index stays one up to 128 (`SHALLOW` in searcher.py)


def hybrid(
    reader: OpenVersion,
    text: str,
    vector: NDArray[np.float32],
    count: int,
    filter: SearchFilter | None = None,
    allowed: Rows | None = None,
) -> tuple[Scores, Rows]:
    """As `best`, in the order of the fused rankings of the vector and of the words; what neither holds follows in the
    order of the vector. How many are asked for does not change the order.

    Args:
        allowed: the rows that pass `filter`.
    """
    by_vector = best(reader, vector, FUSED, allowed)[1][:FUSED]
    by_words = reader.ranked_by_words(text, FUSED, filter)
    rows = fuse([by_vector, by_words])
    if len(rows) < count:
        further = best(reader, vector, count, allowed)[1]
        rows = np.concatenate([rows, further[~np.isin(further, rows)]])
    return reader.score(vector, rows), rows
