"""A folder that is there as a whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagetext.errors import Busy, InvalidParameter
from imagetext.index.versions import fsync


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to write into, which gets its name at the end; what a killed writer left is cleared away.

    Raises:
        InvalidParameter: there is such a folder already, with something in it.
        Busy: another process is writing it.
    """
    folder = Path(os.path.abspath(folder))
    _require_free(folder)
    hidden = folder.with_name(f".{folder.name}.unfinished")
    hidden.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"Another process is writing {folder}; wait for its end.") from error
        _clear(hidden)
        try:
            yield hidden
            _require_free(folder)
            _flush(hidden)
            os.rename(hidden, folder)  # onto nothing, or onto an empty folder
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        fsync(folder.parent)
    finally:
        os.close(descriptor)


def _require_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidParameter(f"{folder} exists already and is not empty; name another folder.")


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _flush(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        fsync(path)
