"""Is every file of an index version what the manifest says?"""

import hashlib
from pathlib import Path

from imagetext.index.manifest import FileSum, Manifest, read_manifest
from imagetext.wire.errors import IndexVersionError


def sum_file(path: Path) -> FileSum:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileSum(bytes=file.tell(), sha256=digest)


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Cheap: every file is there with its number of bytes. Raises IndexVersionError naming the file if not."""
    for name, expected in (manifest.files or {}).items():
        try:
            found = (folder / name).stat().st_size
        except OSError as error:
            raise IndexVersionError(f"{name} of index version {manifest.version} is missing.") from error
        if found != expected.bytes:
            raise IndexVersionError(
                f"{name} of index version {manifest.version} is damaged: it has {found:,} bytes, "
                f"the manifest says {expected.bytes:,}."
            )


def verify(folder: Path) -> Manifest:
    """Read every byte of a version and compare it with the manifest, which is returned.

    Raises:
        IndexVersionError: naming the file that is missing, cut off or changed.
    """
    manifest = read_manifest(folder)
    check_sizes(folder, manifest)
    for name in manifest.files or {}:
        verify_file(folder, manifest, name)
    return manifest


def verify_file(folder: Path, manifest: Manifest, name: str) -> None:
    """As `verify`, one file alone."""
    try:
        found = sum_file(folder / name)
    except OSError as error:
        raise IndexVersionError(f"{name} of index version {manifest.version} cannot be read.") from error
    if found != (manifest.files or {}).get(name):
        raise IndexVersionError(f"{name} of index version {manifest.version} is damaged: its checksum differs.")
