"""The versions of an index: their names, which one is current, and the atomic switch to another."""

import contextlib
import os
import re
import secrets
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagetext.index.manifest import MANIFEST, read_manifest
from imagetext.index.verification import check_sizes
from imagetext.wire.errors import IndexVersionError, NotFound

CURRENT = "CURRENT"
VERSIONS = "versions"

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_TIME = "%Y%m%dT%H%M%SZ"
_SWITCH_SECONDS = 60  # a rollback needs no lock, so its file may be seen for a moment; an older one is dead


def list_versions(index: Path) -> list[str]:
    """The names of all finished versions, oldest first."""
    try:
        names = os.listdir(index / VERSIONS)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if _NAME.fullmatch(name) and (version_folder(index, name) / MANIFEST).exists())


def version_folder(index: Path, version: str) -> Path:
    return index / VERSIONS / version


def current_version(index: Path) -> str | None:
    """The published version, or None when nothing was published yet.

    Raises:
        IndexVersionError: CURRENT is unreadable or holds no name of a version.
    """
    try:
        content = (index / CURRENT).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IndexVersionError(f"{CURRENT} of the index cannot be read.") from error
    return version_name(content)


def version_name(content: bytes) -> str:
    """What CURRENT holds. Raises IndexVersionError when that is no name of a version."""
    name = content.decode("ascii", "replace").strip()
    if not is_version_name(name):
        raise IndexVersionError(f"{CURRENT} of the index is damaged: it holds no name of a version.")
    return name


def is_version_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def publish(index: Path, version: str) -> None:
    """Make `version` the current one, atomically; publishing an older one is the rollback.

    Raises:
        NotFound: there is no such version.
        IndexVersionError: it is not complete.
    """
    if version not in list_versions(index):
        raise NotFound("The index has no such version.")
    folder = version_folder(index, version)
    manifest = read_manifest(folder)
    if manifest.version != version:
        raise IndexVersionError(f"The folder of index version {version} holds version {manifest.version}.")
    check_sizes(folder, manifest)
    new = index / f".{CURRENT}-{secrets.token_hex(6)}"
    try:
        new.write_text(version + "\n", encoding="ascii")
        fsync(new)
        os.replace(new, index / CURRENT)
    finally:
        new.unlink(missing_ok=True)
    fsync(index)


def new_version(index: Path) -> str:
    """A new name, which sorts after all names there are even when the clock was set back."""
    moment = datetime.now(UTC).replace(microsecond=0)
    versions = list_versions(index)
    if versions:
        newest = datetime.strptime(versions[-1].partition("-")[0], _TIME).replace(tzinfo=UTC)
        moment = max(moment, newest + timedelta(seconds=1))
    return f"{moment.strftime(_TIME)}-{secrets.token_hex(3)}"


def prune_versions(index: Path, keep: int) -> list[str]:
    """Remove all versions but the `keep` newest (at least 1) and the current one; returns the names of the removed."""
    kept = {*list_versions(index)[-keep:], current_version(index)}
    removed = [version for version in list_versions(index) if version not in kept]
    for version in removed:
        # Hidden first: a version that is half removed must not be seen as one.
        hidden = version_folder(index, f".removed-{version}")
        os.replace(version_folder(index, version), hidden)
        shutil.rmtree(hidden)
    return removed


def remove_leftovers(index: Path) -> None:
    """Clear away what killed builds left behind. Only for the holder of the build lock."""
    for pattern in (".building-*", ".removed-*"):
        for folder in (index / VERSIONS).glob(pattern):
            shutil.rmtree(folder)
    for file in index.glob(f".{CURRENT}-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > _SWITCH_SECONDS:
                file.unlink()


def fsync(path: Path) -> None:
    """Force a file, or the names in a folder, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
