"""The commands that show and switch versions; none of them needs a model."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from imagetext.errors import NotFound
from imagetext.index import current_version, list_versions, version_folder
from imagetext.index.journal import JournalReader
from imagetext.index.overview import describe, skipped_files, version_before
from imagetext.index.pruning import prune_changes
from imagetext.index.switching import switch, why_unusable
from imagetext.index.versions import prune_versions, remove_leftovers
from indexer.lock import build_lock
from indexer.version_list import as_fields, table
from indexer.wording import printable

Say = Callable[[str], None]


def versions(options: argparse.Namespace, say: Say) -> int:
    current = current_version(options.index)
    described = [describe(options.index, name, current=name == current) for name in list_versions(options.index)]
    versions = [as_fields(version) for version in described]
    if options.json:
        say(json.dumps({"current": current, "versions": versions}))
    elif versions:
        say(table(versions))
    else:
        say(f"There is no version yet. {_how_to_build(options.index)}")
    return 0


def skipped(options: argparse.Namespace, say: Say) -> int:
    version = _folder(options.index, options.version or current_version(options.index)).name
    skipped = skipped_files(options.index, version)
    if options.json:
        files = [{"path": file.path, "reason": file.reason} for file in skipped]
        say(json.dumps({"version": version, "skipped": files}))
    for file in () if options.json else skipped:
        say(f"{printable(file.path)}: {file.reason}")
    return 0


def verify(options: argparse.Namespace, say: Say) -> int:
    versions = [options.version] if options.version else list_versions(options.index)
    if not versions:
        raise NotFound(f"There is no version yet. {_how_to_build(options.index)}")
    reasons = {version: why_unusable(_folder(options.index, version)) for version in versions}
    journal = None if options.version else _journal_damage(options.index)
    if options.json:
        checked = [{"version": name, "error": reason} for name, reason in reasons.items()]
        say(json.dumps({"versions": checked, "journal": journal}))
    for version, reason in () if options.json else reasons.items():
        say(f"{version} is intact." if reason is None else reason)
    if journal and not options.json:
        say(journal)
    return int(any(reasons.values()) or journal is not None)


def publish(options: argparse.Namespace, say: Say) -> int:
    _switch(options, options.version, say)
    return 0


def rollback(options: argparse.Namespace, say: Say) -> int:
    current = current_version(options.index)
    if current is None:
        raise NotFound(f"No version is published yet. {_how_to_build(options.index)}")
    earlier = version_before(options.index)
    if earlier is None:
        raise NotFound(f"There is no version before {current}; see `versions` for those that could be published.")
    _switch(options, earlier, say)
    return 0


def prune(options: argparse.Namespace, say: Say) -> int:
    if not list_versions(options.index):
        raise NotFound(f"There is no version yet. {_how_to_build(options.index)}")
    with build_lock(options.index):
        remove_leftovers(options.index)
        removed = prune_versions(options.index, options.keep)
        prune_changes(options.index)
    left = list_versions(options.index)
    if options.json:
        say(json.dumps({"removed": removed, "versions": left}))
    else:
        say(f"Removed {len(removed)} of {len(removed) + len(left)} versions.")
    return 0


def _switch(options: argparse.Namespace, version: str, say: Say) -> None:
    _folder(options.index, version)
    before = switch(options.index, version)
    say(json.dumps({"version": version, "before": before}) if options.json else f"Published version {version}.")


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
