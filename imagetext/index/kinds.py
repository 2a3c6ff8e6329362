"""The kinds of index, what each needs, and which ones to try for a collection.

flat    compares the query with every vector: exact, and fastest for small collections
hnsw    a graph of neighbours (Malkov and Yashunin, 2016) over int8 vectors
ivf     cells around centroids (Sivic and Zisserman, 2003), of which a search visits a few; int8 vectors
ivfpq   cells of 4-bit product codes (Jégou et al., 2011), which FAISS scans in registers: the smallest

All but the first only nominate candidates, whose scores are then computed from the vectors themselves.
`docs/decisions/index-kinds.md` has the measurements behind the constants here.
"""

import math
from dataclasses import dataclass

from imagetext.wire.errors import InvalidParameter

FLAT, HNSW, IVF, IVFPQ = "flat", "hnsw", "ivf", "ivfpq"
KINDS = (FLAT, HNSW, IVF, IVFPQ)
AUTO = "auto"

MAX_EXACT_VALUES = 10_000_000  # a flat search reads so many in a few milliseconds
MIN_VECTORS = 1_000  # fewer are too few to train cells on, and flat search is fast anyway
_LINKS = 32  # per vector on each level of the graph but the lowest, which has twice as many


@dataclass(frozen=True)
class IndexOptions:
    """What is asked of an index.

    Attributes:
        kind: one of KINDS, or AUTO.
        target_recall: the mean fraction of the 10 nearest vectors that a search must find, from 0.5 to 1.
        max_memory: bytes that must stay in memory for fast searches; None: no limit.
    """

    kind: str = AUTO
    target_recall: float = 0.98
    max_memory: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in (AUTO, *KINDS):
            raise InvalidParameter(f"Unknown kind of index: {self.kind}. It must be one of {', '.join(KINDS)}.")
        if not 0.5 <= self.target_recall <= 1:
            raise InvalidParameter(f"The target recall must be between 0.5 and 1, not {self.target_recall:g}.")
        if self.max_memory is not None and self.max_memory < 1:
            raise InvalidParameter(f"The memory limit of an index must be at least 1 byte, not {self.max_memory}.")


@dataclass(frozen=True)
class Plan:
    """One kind for one collection. `factory` is the string for FAISS's `index_factory`, empty for flat; `memory_bytes`
    is an estimate."""

    kind: str
    factory: str
    memory_bytes: int


@dataclass(frozen=True)
class Effort:
    """How thoroughly a search looks. `probes`: cells to visit, or the length of the graph search's list (efSearch).
    `candidates`: rows to nominate."""

    probes: int
    candidates: int


@dataclass(frozen=True)
class Measured:
    """Means over queries that had no part in the tuning, one query at a time.

    Attributes:
        recall: the fraction of the 10 nearest that was found, for the type of query with the lowest recall.
        exact_queries_per_second: exact search on the same machine at the same time.
        memory_bytes: what searches read all over, and should stay in memory.
    """

    recall: float
    queries_per_second: float
    exact_queries_per_second: float
    memory_bytes: int


def plans(options: IndexOptions, size: int, dimensions: int) -> list[Plan]:
    """The kinds to try for `size` vectors, the preferred one first.

    Raises:
        InvalidParameter: none of them fits into the memory.
    """
    limit = math.inf if options.max_memory is None else options.max_memory
    fitting = [plan for plan in _possible(options, size, dimensions) if plan.memory_bytes <= limit]
    if not fitting:
        kinds = KINDS if options.kind == AUTO else (options.kind,)
        smallest = min((plan_of(kind, size, dimensions) for kind in kinds), key=lambda plan: plan.memory_bytes)
        raise InvalidParameter(
            f"{size:,} vectors of {dimensions} dimensions need at least {smallest.memory_bytes:,} bytes of memory, "
            f"as the kind {smallest.kind}; {limit:,} are allowed."
        )
    return fitting


def plan_of(kind: str, size: int, dimensions: int) -> Plan:
    """The plan for a kind; flat if the collection is too small for another."""
    if kind == FLAT or size < MIN_VECTORS:
        return Plan(FLAT, "", 4 * size * dimensions)
    cells = cells_for(size)
    in_cells = 4 * cells * dimensions + 8 * size
    if kind == HNSW:
        return Plan(HNSW, f"HNSW{_LINKS},SQ8", size * (dimensions + 8 * _LINKS + 12))
    if kind == IVF:
        return Plan(IVF, f"IVF{cells},SQ8", in_cells + size * dimensions)
    codes = _codes(dimensions)
    return Plan(IVFPQ, f"IVF{cells},PQ{codes}x4fs", in_cells + size * math.ceil(codes / 2))


def cells_for(size: int) -> int:
    """About twice the square root, a power of two: a search then reads about as many centroids as vectors."""
    return int(2 ** round(math.log2(2 * math.sqrt(size))))


def _possible(options: IndexOptions, size: int, dimensions: int) -> list[Plan]:
    flat = plan_of(FLAT, size, dimensions)
    if options.target_recall == 1 and options.kind in (AUTO, FLAT):
        return [flat]
    if options.kind != AUTO:
        return [plan_of(options.kind, size, dimensions)]
    approximate = [plan_of(kind, size, dimensions) for kind in (IVFPQ, IVF)]
    return [flat, *approximate] if size * dimensions <= MAX_EXACT_VALUES else [*approximate, flat]


def _codes(dimensions: int) -> int:
    """How many 4-bit codes stand for a vector: one for 4 dimensions, or as close to that as the dimensions divide."""
    return next(dimensions // each for each in (4, 3, 5, 2, 1) if dimensions % each == 0)
