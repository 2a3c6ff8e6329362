"""The kinds of index, what each needs, and which come into question for a collection.

flat    every vector is looked at: exact, and fastest while there are few
hnsw    a graph of neighbours (Malkov and Yashunin, 2016) over vectors of one byte a number
ivf     cells around centres (Sivic and Zisserman, 2003), of which a few are looked into; one byte a number
ivfpq   cells of product codes (Jégou et al., 2011) of 4 bits, which FAISS scans in registers: the smallest

All but the first only nominate candidates: their scores are then computed from the vectors themselves.
`docs/decisions/index-kinds.md` has the measurements behind the numbers here.
"""

import math
from dataclasses import dataclass

from imagetext.wire.errors import InvalidParameter

FLAT, HNSW, IVF, IVFPQ = "flat", "hnsw", "ivf", "ivfpq"
KINDS = (FLAT, HNSW, IVF, IVFPQ)
AUTO = "auto"

EXACT_NUMBERS = 10_000_000  # that a flat search reads in a few milliseconds
LEAST_VECTORS = 1_000  # too few to train cells with, and nothing to win
_LINKS = 32  # of a vector in the graph, on each level but the lowest, which has twice as many


@dataclass(frozen=True)
class Wanted:
    """What is asked of an index: `target_recall` is the part of the 10 nearest that is found on average, `max_memory`
    the bytes that must stay in memory for fast searches (None: as many as it takes)."""

    kind: str = AUTO
    target_recall: float = 0.98
    max_memory: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in (AUTO, *KINDS):
            raise InvalidParameter(f"There is no kind of index called {self.kind}; there are {', '.join(KINDS)}.")
        if not 0.5 <= self.target_recall <= 1:
            raise InvalidParameter("The target of recall must lie between 0.5 and 1.")
        if self.max_memory is not None and self.max_memory < 1:
            raise InvalidParameter("The memory of an index must be some bytes at least.")


@dataclass(frozen=True)
class Plan:
    """One kind for one collection. `factory` is what FAISS's `index_factory` is told, empty for exact search;
    `memory_bytes` is an estimate."""

    kind: str
    factory: str
    memory_bytes: int


def plans(wanted: Wanted, size: int, dimensions: int) -> list[Plan]:
    """The kinds to try for `size` vectors, the preferred one first.

    Raises:
        InvalidParameter: none of them fits into the memory.
    """
    fitting = [plan for plan in _in_question(wanted, size, dimensions) if plan.memory_bytes <= _memory(wanted)]
    if not fitting:
        kinds = KINDS if wanted.kind == AUTO else (wanted.kind,)
        least = min((plan_of(kind, size, dimensions) for kind in kinds), key=lambda plan: plan.memory_bytes)
        raise InvalidParameter(
            f"{size:,} vectors of {dimensions} numbers need {least.memory_bytes:,} bytes of memory at least, "
            f"as the kind {least.kind}; {_memory(wanted):,} are allowed."
        )
    return fitting


def plan_of(kind: str, size: int, dimensions: int) -> Plan:
    """A kind with its numbers for a collection; flat where the collection is too small for another."""
    if kind == FLAT or size < LEAST_VECTORS:
        return Plan(FLAT, "", 4 * size * dimensions)
    cells = cells_for(size)
    in_cells = 4 * cells * dimensions + 8 * size
    if kind == HNSW:
        return Plan(HNSW, f"HNSW{_LINKS},SQ8", size * (dimensions + 8 * _LINKS + 12))
    if kind == IVF:
        return Plan(IVF, f"IVF{cells},SQ8", in_cells + size * dimensions)
    parts = _parts(dimensions)
    return Plan(IVFPQ, f"IVF{cells},PQ{parts}x4fs", in_cells + size * math.ceil(parts / 2))


def cells_for(size: int) -> int:
    """About twice the square root, a power of two: then a search reads about as many centres as vectors."""
    return int(2 ** round(math.log2(2 * math.sqrt(size))))


def _in_question(wanted: Wanted, size: int, dimensions: int) -> list[Plan]:
    flat = plan_of(FLAT, size, dimensions)
    if wanted.target_recall == 1 and wanted.kind in (AUTO, FLAT):
        return [flat]
    if wanted.kind != AUTO:
        return [plan_of(wanted.kind, size, dimensions)]
    rest = [plan_of(kind, size, dimensions) for kind in (IVFPQ, IVF)]
    return [flat, *rest] if size * dimensions <= EXACT_NUMBERS else [*rest, flat]


def _memory(wanted: Wanted) -> float:
    return math.inf if wanted.max_memory is None else wanted.max_memory


def _parts(dimensions: int) -> int:
    """Into how many codes of 4 bits a vector is cut: 4 numbers each, or as near to that as the dimensions divide."""
    return next(dimensions // each for each in (4, 3, 5, 2, 1) if dimensions % each == 0)
