"""What a run means: thresholds that are missed, and with --quick ratios that have fallen since they were kept."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report import Report
from bench.row import Result

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
