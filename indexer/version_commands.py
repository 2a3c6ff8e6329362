"""The commands that list, check, switch and remove versions."""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagetext.index import current_version, list_versions, version_folder
from imagetext.index.catalogue import describe, skipped_files, switch, version_before, why_unusable
from imagetext.index.changes.journal import JournalReader
from imagetext.index.changes.journal_writer import prune_changes
from imagetext.index.versions import prune_versions, remove_leftovers
from imagetext.wire.errors import NotFound
from imagetext.wire.index import IndexVersion
from indexer.publishing import build_lock
from indexer.reports import Context, printable, shown_bytes

_HEADINGS = ("  version", "pictures", "kind", "recall", "queries/s", "exact", "memory", "skipped", "age")
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def versions(options: argparse.Namespace, context: Context) -> int:
    current = current_version(options.index)
    described = [describe(options.index, name, current=name == current) for name in list_versions(options.index)]
    versions = [_fields(version) for version in described]
    if options.json:
        context.say(json.dumps({"current": current, "versions": versions}))
    elif versions:
        context.say(_table(versions))
    else:
        context.say(f"There is no version yet. {_how_to_build(options.index)}")
    return 0


def skipped(options: argparse.Namespace, context: Context) -> int:
    version = _folder(options.index, options.version or current_version(options.index)).name
    skipped = skipped_files(options.index, version)
    if options.json:
        files = [{"path": file.path, "reason": file.reason} for file in skipped]
        context.say(json.dumps({"version": version, "skipped": files}))
    for file in () if options.json else skipped:
        context.say(f"{printable(file.path)}: {file.reason}")
    return 0


def verify(options: argparse.Namespace, context: Context) -> int:
    versions = [options.version] if options.version else list_versions(options.index)
    if not versions:
        raise NotFound(f"There is no version yet. {_how_to_build(options.index)}")
    reasons = {version: why_unusable(_folder(options.index, version)) for version in versions}
    journal = None if options.version else _journal_damage(options.index)
    if options.json:
        checked = [{"version": name, "error": reason} for name, reason in reasons.items()]
        context.say(json.dumps({"versions": checked, "journal": journal}))
    for version, reason in () if options.json else reasons.items():
        context.say(f"{version} is intact." if reason is None else reason)
    if journal and not options.json:
        context.say(journal)
    return int(any(reasons.values()) or journal is not None)


def publish(options: argparse.Namespace, context: Context) -> int:
    _switch(options, options.version, context)
    return 0


def rollback(options: argparse.Namespace, context: Context) -> int:
    current = current_version(options.index)
    if current is None:
        raise NotFound(f"No version is published yet. {_how_to_build(options.index)}")
    earlier = version_before(options.index)
    if earlier is None:
        raise NotFound(f"There is no version before {current}; see `versions` for those that could be published.")
    _switch(options, earlier, context)
    return 0


def prune(options: argparse.Namespace, context: Context) -> int:
    if not list_versions(options.index):
        raise NotFound(f"There is no version yet. {_how_to_build(options.index)}")
    with build_lock(options.index):
        remove_leftovers(options.index)
        removed = prune_versions(options.index, options.keep)
        prune_changes(options.index)
    left = list_versions(options.index)
    if options.json:
        context.say(json.dumps({"removed": removed, "versions": left}))
    else:
        context.say(f"Removed {len(removed)} of {len(removed) + len(left)} versions.")
    return 0


def _switch(options: argparse.Namespace, version: str, context: Context) -> None:
    _folder(options.index, version)
    before = switch(options.index, version)
    context.say(json.dumps({"version": version, "before": before}) if options.json else f"Published version {version}.")


def _journal_damage(index: Path) -> str | None:
    reader = JournalReader(index, 0)
    reader.read()
    return f"The journal is damaged; changes lost: {reader.damaged} or more." if reader.damaged else None


def _folder(index: Path, version: str | None) -> Path:
    """Raises NotFound with what could be done."""
    if version is None:
        raise NotFound(f"No version is published yet. {_how_to_build(index)}")
    if version not in list_versions(index):
        raise NotFound(f"The index has no version {version}; `python -m indexer versions --index {index}` lists them.")
    return version_folder(index, version)


def _how_to_build(index: Path) -> str:
    return f"Build one: python -m indexer build --images FOLDER --index {index}"


def _fields(version: IndexVersion) -> dict[str, Any]:
    """The fields of a version, and its `age_s` in seconds, None if it is not known."""
    age = None if version.created is None else round((datetime.now(UTC) - version.created).total_seconds())
    return version.model_dump(mode="json") | {"age_s": age}


def _table(versions: Sequence[dict[str, Any]]) -> str:
    """One line for each, oldest first, in columns."""
    lines = [_HEADINGS, *(_cells(version) for version in versions)]
    whole = [line for line in lines if len(line) == len(_HEADINGS)]
    widths = [max(len(line[column]) for line in whole) for column in range(len(_HEADINGS))]
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
