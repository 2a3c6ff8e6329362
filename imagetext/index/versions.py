"""An index folder: the names of its versions, which one is current, and the build that runs."""

import contextlib
import os
import re
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from imagetext.files import locked, remove_folder, replacing
from imagetext.index.manifest import MANIFEST, check_sizes, read_manifest
from imagetext.wire.errors import IndexVersionError, NotFound
from imagetext.wire.index import BuildProgress, BuildStatus

CURRENT = "CURRENT"
VERSIONS = "versions"
BUILD_LOCK = ".lock"  # held by a build as long as its process lives
PROGRESS = "build.json"  # written by the build, read by everybody

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_TIME = "%Y%m%dT%H%M%SZ"
_SWITCH_SECONDS = 60  # a rollback needs no lock, so its file may exist for a moment; an older one was abandoned


def list_versions(index: Path) -> list[str]:
    """The names of all finished versions, oldest first."""
    try:
        names = os.listdir(index / VERSIONS)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if is_version_name(name) and (version_folder(index, name) / MANIFEST).exists())


def version_folder(index: Path, version: str) -> Path:
    return index / VERSIONS / version


def current_version(index: Path) -> str | None:
    """The published version, or None if nothing was published yet.

    Raises:
        IndexVersionError: CURRENT is unreadable or does not hold the name of a version.
    """
    try:
        content = (index / CURRENT).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IndexVersionError(f"{CURRENT} of the index cannot be read.") from error
    return version_name(content)


def version_name(content: bytes) -> str:
    """What CURRENT holds. Raises IndexVersionError if that is not the name of a version."""
    name = content.decode("ascii", "replace").strip()
    if not is_version_name(name):
        raise IndexVersionError(f"{CURRENT} of the index is damaged: it does not hold the name of a version.")
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
    with replacing(index / CURRENT, sync=True) as new:
        new.write_text(version + "\n", encoding="ascii")


def new_version(index: Path) -> str:
    """A new name, which sorts after all existing names even if the clock was set back."""
    moment = datetime.now(UTC).replace(microsecond=0)
    versions = list_versions(index)
    if versions:
        newest = datetime.strptime(versions[-1].partition("-")[0], _TIME).replace(tzinfo=UTC)
        moment = max(moment, newest + timedelta(seconds=1))
    return f"{moment.strftime(_TIME)}-{os.urandom(3).hex()}"


def prune_versions(index: Path, keep: int) -> list[str]:
    """Remove all versions but the `keep` newest (at least 1) and the current one; returns the names of the removed."""
    kept = {*list_versions(index)[-keep:], current_version(index)}
    removed = [version for version in list_versions(index) if version not in kept]
    for version in removed:
        remove_folder(version_folder(index, version))
    return removed


def remove_leftovers(index: Path) -> None:
    """Remove what killed processes left behind. Only while nobody else adds or removes versions."""
    for folder in (index / VERSIONS).glob(".*"):
        shutil.rmtree(folder)
    for file in [*index.glob(f".{CURRENT}-*"), *index.glob(f".{PROGRESS}-*")]:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > _SWITCH_SECONDS:
                file.unlink()


def write_progress(index: Path, progress: BuildProgress) -> None:
    """Write build.json; errors are ignored, as a build is worth more than its progress report."""
    with contextlib.suppress(OSError), replacing(index / PROGRESS) as new:
        new.write_text(progress.model_dump_json(), encoding="utf-8")


def remove_progress(index: Path) -> None:
    with contextlib.suppress(OSError):
        (index / PROGRESS).unlink()


def build_status(index: Path) -> BuildStatus:
    """The build that runs, or the one that stopped early: it failed and says why, or its process is gone."""
    progress = _read_progress(index)
    if progress is None:
        return BuildStatus()
    if progress.error is None and _is_building(index):
        return BuildStatus(running=progress)
    progress = _read_progress(index)  # the build may have finished in between
    if progress is None:
        return BuildStatus()
    return BuildStatus(stopped=progress.model_copy(update={"rate": None, "eta_s": None}))


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _read_progress(index: Path) -> BuildProgress | None:
    """None for a missing file or one of another form, such as that of another release."""
    try:
        return BuildProgress.model_validate_json((index / PROGRESS).read_bytes())
    except (OSError, ValidationError):
        return None


def _is_building(index: Path) -> bool:
    """Whether a build holds the index."""
    try:
        with locked(index / BUILD_LOCK, shared=True, wait=0):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False
