"""A folder on this machine, or on a disk that all machines have mounted at the same place."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from imagetext.pictures import read_picture_file
from indexer.scan import FoundFile, scan
from indexer.sources.source import FileShard, Listing


class FolderSource:
    """`root` with everything below it, found and opened by the system's own calls: names may have any bytes."""

    def __init__(self, root: Path) -> None:
        self.address = os.path.abspath(root)

    def list(self) -> Listing:
        found = scan(Path(self.address))
        return Listing(files_in(Path(self.address), found.files), (), found.skipped)


def files_in(root: Path, files: Sequence[FoundFile]) -> FileShard:
    """Files of a folder whose paths are relative to it."""
    address = os.path.abspath(root)
    return FileShard(address, tuple(files), partial(_read, address))


def _read(root: str, file: FoundFile) -> bytes:
    return read_picture_file(Path(root, file.path))
