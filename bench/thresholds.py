"""Thresholds and targets of all rows, by instruction set. `bench.catalogue` says what the rows measure."""

from dataclasses import dataclass

from bench.machine import AMX, AVX2, AVX2_VNNI, AVX512, AVX512_VNNI, OTHER


@dataclass(frozen=True)
class Limits:
    """Of a ratio. A run fails if a threshold is missed; targets are only shown."""

    threshold: float
    target: float | None


# (threshold, target); None where no target was set.
# fmt: off
TABLE: dict[str, tuple[tuple[float, float | None], tuple[float, float | None]]] = {
    # row                  AVX2           AVX-512 VNNI
    "pictures-1":        ((4, None),     (8, 15)),
    "pictures-16":       ((8, None),     (4, 8)),
    "clip-pictures-8":   ((1.2, None),   (3.5, 5)),
    "text-minilm":       ((3, None),     (5, 8)),
    "text-clip":         ((2.5, None),   (5, 8)),
    "caption-gru":       ((4, 8),        (4, 8)),
    "caption-vit-bert":  ((4, 8),        (4, 8)),
    "captions-16":       ((6, 12),       (6, 12)),
    "caption-full-size": ((2.5, 4),      (2.5, 4)),
    "search":            ((2.0, 1.4),    (2.0, 1.4)),
    "search-cached":     ((5, 10),       (5, 10)),
    "infinity-16":       ((1.5, 3),      (1.5, 3)),
    "infinity-64":       ((1.5, 3),      (1.5, 3)),
    "indexing":          ((4, None),     (2.5, 5)),
    "indexing-clip":     ((0.9, 0.95),   (0.9, 0.95)),
    "formats-jpeg-12mp": ((0.8, None),   (0.8, None)),
    "formats-jpeg-2mp":  ((0.8, None),   (0.8, None)),
    "formats-png":       ((0.8, None),   (0.8, None)),
    "formats-webp":      ((0.8, None),   (0.8, None)),
    "faiss-million":     ((15, 40),      (15, 40)),
}
# fmt: on
AT_MOST = ("search",)  # rows whose ratio is our time in the rival's; of the others it is at least the threshold

# Instruction set -> column: AVX2 with VNNI, and AVX-512 without it, are judged as AVX2 is, and AMX as AVX-512 VNNI.
COLUMNS = {OTHER: 0, AVX2: 0, AVX2_VNNI: 0, AVX512: 0, AVX512_VNNI: 1, AMX: 1}


def limits(row: str, instruction_set: str) -> Limits:
    """Raises KeyError where there is no such row or instruction set."""
    return Limits(*TABLE[row][COLUMNS[instruction_set]])
