"""Rows and contests whose numbers are known beforehand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bench.row import Contest, Floor, Result, Row, Setting


def contest(ours: Sequence[float], rival: Sequence[float], **more: Any) -> Contest:
    """Each side gives its values in turn; the first goes to the warm-up."""
    mine, theirs = iter(ours), iter(rival)
    return Contest(ours=lambda: next(mine), rival=lambda: next(theirs), **more)


def row(name: str = "walk", unit: str = "ms", threshold: float = 2, prepare: Any = None, **more: Any) -> Row:
    @contextmanager
    def ready(setting: Setting) -> Iterator[Contest]:
        yield contest([9, 2, 2, 4], [9, 8, 6, 8], floor=lambda: Floor(1.0, "a straight line"))

    return Row(name, f"the {name}", "a plain one", unit, threshold, 2 * threshold, prepare or ready, rounds=3, **more)


def result(name: str = "walk", ratio: float | None = 4.0, **more: Any) -> Result:
    fields: dict[str, Any] = {"threshold": 3.0, "target": 6.0, "spread": 0.5, "ours": 2.0, "rival_value": 8.0} | more
    return Result(name, f"the {name}", "a plain one", "ms", ratio=ratio, **fields)
