"""A run in files: the latest as JSON, one line of history; and in words: a table for people, one in Markdown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bench.row import Result

_FIELDS = {field.name for field in fields(Result)}


def to_json(results: Sequence[Result], machine: Mapping[str, Any], *, complete: bool) -> str:
    """`complete` tells whether every row that was asked for has had its turn."""
    report = {"machine": machine, "complete": complete, "rows": [_rounded(asdict(result)) for result in results]}
    return json.dumps(report, indent=2) + "\n"


def read(file: Path) -> tuple[dict[str, Any], list[Result]]:
    """Machine and rows of a report; both empty where there is none. Raises ValueError where it is damaged."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, []
    rows = [{name: value for name, value in row.items() if name in _FIELDS} for row in report["rows"]]
    return report["machine"], [Result(**row | {"ratios": tuple(row.get("ratios", ()))}) for row in rows]


def add_to_history(file: Path, results: Sequence[Result], machine: Mapping[str, Any]) -> None:
    """One line: when, on what, and the ratios."""
    ratios = {result.name: _short(result.ratio) for result in results}
    line = {name: machine.get(name) for name in ("measured", "commit", "cpu", "cores", "load")} | {"ratios": ratios}
    with file.open("a", encoding="utf-8") as history:
        history.write(json.dumps(line) + "\n")


HEAD = ("work", "rival", "ratio", "spread", "must", "aim", "ours", "rival's", "unit", "from floor", "")


def table(results: Sequence[Result]) -> str:
    """Columns in step, for a terminal."""
    rows = [HEAD, *map(_cells, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def markdown(results: Sequence[Result], machine: Mapping[str, Any]) -> str:
    """The same table for a document, with a line on the machine."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_cells, results)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    flags = ", ".join(machine.get("flags", ())) or "no vector extensions"
    packages = ", ".join(f"{name} {number}" for name, number in machine.get("packages", {}).items())
    about = f"Measured {machine.get('measured')} on {machine.get('cores')} cores of {machine.get('cpu')} ({flags})"
    return f"{about}, load {machine.get('load')} before, with {packages}.\n\n" + "\n".join(lines) + "\n"


def _cells(result: Result) -> tuple[str, ...]:
    sign = "≤ " if result.lower_is_better else ""
    if result.ratio is None:
        outcome = f"skipped: {result.skipped}" if result.skipped else f"FAILED: {result.error}"
    else:
        outcome = "" if result.met else "MISSED"
    return (
        result.work,
        result.rival,
        _number(result.ratio),
        _number(result.spread),
        f"{sign}{result.must:g}",
        f"{sign}{result.aim:g}",
        _number(result.ours),
        _number(result.rival_value),
        result.unit,
        _number(result.from_floor),
        outcome,
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _rounded(value: Any) -> Any:
    """Four digits are more than a measurement has."""
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
