"""Thresholds and targets of all rows, by instruction set. `bench.catalogue` says what the rows measure.

What a run means: thresholds that are missed, and with --quick ratios that have fallen since they were kept.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import AMX, AVX2, AVX2_VNNI, AVX512, AVX512_VNNI, OTHER
from bench.report import Report
from bench.row import Result


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


ALLOWED = 0.75  # of the ratio that was kept


def judge(results: Sequence[Result]) -> int:
    """Names the thresholds that are missed, and returns the exit status."""
    return _told("MISSED", missed(results))


def judge_quick(results: Sequence[Result], machine: Mapping[str, Any], kept: Path) -> int:
    """Compares with the kept run of the same instruction set, and returns the exit status."""
    report = Report.read(kept)
    if report is None:
        sys.stderr.write(
            f"There is no kept run for {machine['instruction_set']} ({kept}): no ratio is compared. "
            "`make bench` measures and keeps one.\n"
        )
    elif report.machine.get("cpu") != machine["cpu"]:
        sys.stderr.write(f"{kept} was measured on {report.machine.get('cpu')}: its ratios may differ from here.\n")
    before = {result.name: result for result in report.results} if report else {}
    return _told("SLOWER THAN KEPT", regressions(results, before))


def missed(results: Sequence[Result]) -> list[str]:
    """A sentence for each row that misses its threshold; a row that failed counts as missed."""
    return [_missed(result) for result in results if not result.skipped and not result.met]


def regressions(results: Sequence[Result], kept: Mapping[str, Result]) -> list[str]:
    """A sentence for each row that failed, or is more than 25 % worse than the one kept under its name."""
    return [line for result in results if (line := _regression(result, kept.get(result.name))) is not None]


def _told(title: str, wrong: Sequence[str]) -> int:
    sys.stderr.writelines(f"{title}: {line}\n" for line in wrong)
    return 1 if wrong else 0


def _missed(result: Result) -> str:
    if result.ratio is None:
        return f"{result.work}: {result.error or 'not measured'}"
    relation = "at most" if result.lower_is_better else "at least"
    return f"{result.work}: {result.ratio:.2f}, threshold {relation} {result.threshold:g}"


def _regression(result: Result, kept: Result | None) -> str | None:
    if result.skipped:
        return None
    if result.score is None or result.ratio is None:
        return f"{result.work}: {result.error or 'not measured'}"
    if kept is None or kept.score is None or result.score >= ALLOWED * kept.score:
        return None
    loss = 100 * (1 - result.score / kept.score)
    return f"{result.work}: {loss:.0f} % worse than kept (a ratio of {result.ratio:.2f}, kept is {kept.ratio:.2f})"
