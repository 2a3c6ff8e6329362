"""Versions as `python -m indexer versions` shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from imagetext.contracts import IndexVersion
from indexer.sizes import shown_bytes

_HEADS = ("  version", "pictures", "kind", "recall", "queries/s", "exact", "memory", "skipped", "age")
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def as_fields(version: IndexVersion) -> dict[str, Any]:
    """The fields of a version, and its `age_s` in seconds, None where it is not known."""
    age = None if version.created is None else round((datetime.now(UTC) - version.created).total_seconds())
    return version.model_dump(mode="json") | {"age_s": age}


def table(versions: Sequence[dict[str, Any]]) -> str:
    """One line for each, oldest first, in columns."""
    lines = [_HEADS, *(_cells(version) for version in versions)]
    whole = [line for line in lines if len(line) == len(_HEADS)]
    widths = [max(len(line[column]) for line in whole) for column in range(len(_HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines
    )


def _cells(version: dict[str, Any]) -> tuple[str, ...]:
    name = f"{'*' if version['current'] else ' '} {version['version']}"
    if version["error"] is not None:
        return (name, version["error"])
    return (
        name,
        f"{version['size']:,}",
        version["kind"],
        _or_dash(version["recall"], "{:.3f}"),
        _or_dash(version["queries_per_second"], "{:,.0f}"),
        _or_dash(version["exact_queries_per_second"], "{:,.0f}"),
        "-" if version["memory_bytes"] is None else shown_bytes(version["memory_bytes"]),
        f"{version['skipped']:,}",
        _age(version["age_s"]),
    )


def _or_dash(number: float | None, form: str) -> str:
    return "-" if number is None else form.format(number)


def _age(seconds: float) -> str:
    unit, name = next(((unit, name) for unit, name in _AGES if seconds >= unit), (1, "s"))
    return f"{max(0, seconds) / unit:.0f} {name}"
