"""The commands that show and switch versions; none of them needs a model."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from imagetext.errors import NotFound
from imagetext.index import current_version, list_versions, version_folder
from imagetext.index.journal import JournalReader
from imagetext.index.overview import describe, skipped_files, version_before
from imagetext.index.pruning import prune_changes
from imagetext.index.switching import switch, why_unusable
from imagetext.index.versions import prune_versions, remove_leftovers
from indexer.lock import build_lock
from indexer.sizes import positive
from indexer.version_list import as_fields, table
from indexer.wording import printable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

Say = Callable[[str], None]


def add_commands(commands: "_SubParsersAction[argparse.ArgumentParser]", index: argparse.ArgumentParser) -> None:
    """Each sets `run`, which is given the options and what to print with, and returns the exit status."""
    said = argparse.ArgumentParser(add_help=False, parents=[index])
    said.add_argument("--json", action="store_true", help="write the outcome as one line of JSON")
    shown = commands.add_parser("versions", parents=[said], help="list the versions; * marks the current one")
    shown.set_defaults(run=_versions)
    skipped = commands.add_parser("skipped", parents=[said], help="list the files that a version left out, and why")
    skipped.add_argument("version", nargs="?", metavar="VERSION", help="the current one when left out")
    skipped.set_defaults(run=_skipped)
    checked = commands.add_parser(
        "verify", parents=[said], help="read every byte of a version, or of all and the journal"
    )
    checked.add_argument("version", nargs="?", metavar="VERSION", help="all of them when left out")
    checked.set_defaults(run=_verify)
    switch = commands.add_parser("publish", parents=[said], help="make another version the current one")
    switch.add_argument("version", metavar="VERSION", help="a name that `versions` lists")
    switch.set_defaults(run=_publish)
    back = commands.add_parser("rollback", parents=[said], help="publish the version before the current one")
    back.set_defaults(run=_rollback)
    less = commands.add_parser("prune", parents=[said], help="remove all but the newest versions and the current one")
    less.add_argument("--keep", type=positive, default=3, metavar="N", help="how many of the newest stay (3)")
    less.set_defaults(run=_prune)


def _versions(options: argparse.Namespace, say: Say) -> int:
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


def _skipped(options: argparse.Namespace, say: Say) -> int:
    version = _folder(options.index, options.version or current_version(options.index)).name
    skipped = skipped_files(options.index, version)
    if options.json:
        files = [{"path": file.path, "reason": file.reason} for file in skipped]
        say(json.dumps({"version": version, "skipped": files}))
    for file in () if options.json else skipped:
        say(f"{printable(file.path)}: {file.reason}")
    return 0


def _verify(options: argparse.Namespace, say: Say) -> int:
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


def _publish(options: argparse.Namespace, say: Say) -> int:
    _switch(options, options.version, say)
    return 0


def _rollback(options: argparse.Namespace, say: Say) -> int:
    current = current_version(options.index)
    if current is None:
        raise NotFound(f"No version is published yet. {_how_to_build(options.index)}")
    earlier = version_before(options.index)
    if earlier is None:
        raise NotFound(f"There is no version before {current}; see `versions` for those that could be published.")
    _switch(options, earlier, say)
    return 0


def _prune(options: argparse.Namespace, say: Say) -> int:
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
