"""build.json: how far a build is. The indexer writes it, everybody may read it."""

import contextlib
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from imagetext.wire.contracts import BuildProgress, BuildStatus

LOCK = ".lock"  # held by a build as long as its process lives
PROGRESS = "build.json"


def write_progress(index: Path, progress: BuildProgress) -> None:
    """Replaces the file; what cannot be written is not: a build is worth more than the news of it."""
    new = index / f".{PROGRESS}"
    with contextlib.suppress(OSError):
        new.write_text(progress.model_dump_json(), encoding="utf-8")
        os.replace(new, index / PROGRESS)


def remove_progress(index: Path) -> None:
    for name in (PROGRESS, f".{PROGRESS}"):
        with contextlib.suppress(OSError):
            (index / name).unlink()


def build_status(index: Path) -> BuildStatus:
    """The build that runs, or the one that stopped before its end: it says why, or its process is gone."""
    progress = _read(index)
    if progress is None:
        return BuildStatus()
    if progress.error is None and _is_locked(index):
        return BuildStatus(running=progress)
    progress = _read(index)  # it may have come to its end between the two looks
    if progress is None:
        return BuildStatus()
    return BuildStatus(stopped=progress.model_copy(update={"rate": None, "eta_s": None}))


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _read(index: Path) -> BuildProgress | None:
    """None for a file that is not there or not of this form: it may be of another release."""
    try:
        return BuildProgress.model_validate_json((index / PROGRESS).read_bytes())
    except (OSError, ValidationError):
        return None


def _is_locked(index: Path) -> bool:
    """Whether a build holds the index. The system lets go of the lock of a process that was killed."""
    try:
        with (index / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
