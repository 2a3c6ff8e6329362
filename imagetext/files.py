"""Files that several processes read and write: replaced in one step, and locked.

The locks are `flock`'s, because the index needs shared ones and locks on folders, which `filelock` does not have. The
system releases them when their holder dies.
"""

import contextlib
import fcntl
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.02


@contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or folder at; at the end it is renamed to `path` in one step.

    Readers see the old content or the new, never a part. After an error `path` is unchanged and nothing is left over;
    only a killed process leaves `.NAME-HEX` behind.

    Args:
        sync: force the content and then the name onto the disk, so that they survive a crash of the machine.

    Raises:
        OSError: it cannot be written, or `path` is a folder that is not empty.
    """
    # Random, not the process id: the first process of every container has the same one.
    aside = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        yield aside
        if sync:
            fsync_all(aside)
        os.replace(aside, path)
    except BaseException:
        _remove(aside)
        raise
    if sync:
        fsync(path.parent)


def remove_folder(folder: Path) -> None:
    """Hide a folder in one step, then remove it, so that nobody sees half of it."""
    hidden = folder.with_name(f".{folder.name}-{secrets.token_hex(6)}")
    os.replace(folder, hidden)
    shutil.rmtree(hidden)


def fsync(path: Path) -> None:
    """Force the content of a file, or the names in a folder, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_all(path: Path) -> None:
    """As `fsync`, with everything inside a folder."""
    if path.is_dir():
        for inside in path.rglob("*"):
            fsync(inside)
    fsync(path)


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: float = math.inf, folder: bool = False) -> Iterator[None]:
    """Hold a lock among all processes that use this function.

    Args:
        path: the file to lock; an exclusive lock creates it if it is missing, a shared one does not.
        shared: others may hold it too, as long as they also share it.
        wait: seconds to wait for other holders.
        folder: `path` is an existing folder.

    Raises:
        BlockingIOError: another process still holds it.
        OSError: `path` cannot be opened, or its file system has no locks.
    """
    flags = os.O_RDONLY if shared or folder else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags | os.O_CLOEXEC | (os.O_DIRECTORY if folder else 0), 0o666)
    try:
        _lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, wait)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_if_possible(path: Path, *, shared: bool = False, folder: bool = False) -> Iterator[None]:
    """As `locked`, but carry on without the lock where it cannot be had, as on a file system without locks."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(locked(path, shared=shared, folder=folder))
        yield


def _lock(descriptor: int, kind: int, wait: float) -> None:
    if math.isinf(wait):
        fcntl.flock(descriptor, kind)
        return
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_S)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
