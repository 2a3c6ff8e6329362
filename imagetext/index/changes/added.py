"""The files of pictures that came through the API. They lie beside the versions, named by id and content, so that a
picture that is replaced stays there for the versions that still show it."""

import contextlib
import os
import secrets
import time
from collections.abc import Set
from pathlib import Path

from imagetext.index.rows import PictureRow
from imagetext.index.versions import fsync

FOLDER = "added"
_UNFINISHED = ".new-"
_GRACE_SECONDS = 3_600  # a file is older than its record


class AddedPictures:
    def __init__(self, index: Path) -> None:
        self.folder = index / FOLDER

    @staticmethod
    def name(picture: PictureRow) -> str:
        """The path of its file in the folder."""
        return f"{picture.id[:2]}/{picture.id}-{picture.sha256}"

    def has(self, picture: PictureRow) -> bool:
        """Whether the file of this very content is here; else it is in the indexed folder."""
        return (self.folder / self.name(picture)).is_file()

    def write(self, id: str, sha256: str, content: bytes) -> int:
        """Put a picture's file onto the disk, whole or not at all; returns its time of change in ns.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        folder = self.folder / id[:2]
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            fsync(self.folder.parent)
            fsync(self.folder)
        unfinished = folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
        try:
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                changed = os.fstat(file.fileno()).st_mtime_ns
            os.replace(unfinished, folder / f"{id}-{sha256}")
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        fsync(folder)
        return changed

    def remove_all_but(self, needed: Set[str]) -> int:
        """Remove old files whose names are not `needed`; returns how many. Only with the journal's lock."""
        removed = 0
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                old = time.time() - path.stat().st_mtime > _GRACE_SECONDS
                if old and f"{path.parent.name}/{path.name}" not in needed:
                    path.unlink()
                    removed += 1
        return removed
