"""What a run means: musts that are missed, and ratios that have fallen since they were kept."""

from collections.abc import Mapping, Sequence

from bench.row import Result

ALLOWED = 0.75  # of the ratio that was kept


def missed(results: Sequence[Result]) -> list[str]:
    """A sentence for each row that does not do what it must; a row that failed has not shown that it does."""
    return [_missed(result) for result in results if not result.skipped and not result.met]


def regressions(results: Sequence[Result], kept: Mapping[str, Result]) -> list[str]:
    """A sentence for each row that failed, or is more than 25 % worse than the one kept under its name."""
    return [line for result in results if (line := _regression(result, kept.get(result.name))) is not None]


def _missed(result: Result) -> str:
    if result.ratio is None:
        return f"{result.work}: {result.error or 'not measured'}"
    relation = "at most" if result.lower_is_better else "at least"
    return f"{result.work}: {result.ratio:.2f}, must be {relation} {result.must:g}"


def _regression(result: Result, kept: Result | None) -> str | None:
    if result.skipped:
        return None
    if result.score is None or result.ratio is None:
        return f"{result.work}: {result.error or 'not measured'}"
    if kept is None or kept.score is None or result.score >= ALLOWED * kept.score:
        return None
    loss = 100 * (1 - result.score / kept.score)
    return f"{result.work}: {loss:.0f} % worse than kept (a ratio of {result.ratio:.2f}, kept is {kept.ratio:.2f})"
