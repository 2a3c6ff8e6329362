"""A local version to an object store."""

from pathlib import Path

from imagetext.errors import IndexVersionError
from imagetext.index.manifest import MANIFEST, FileSum, Manifest
from imagetext.index.object_store import ObjectStore
from imagetext.index.versions import version_folder


def push(index: Path, version: str, manifest: Manifest, store: ObjectStore, again: bool = False) -> list[str]:
    """Upload a verified version, the manifest last; the names of the files that went.

    A file that the store has with its size is not sent again if the same manifest is there too, unless `again`.

    Raises:
        Unavailable: the store does not answer.
    """
    folder = version_folder(index, version)
    known = not again and _has_manifest(store, version, (folder / MANIFEST).read_bytes())
    names = [
        name
        for name, expected in (manifest.files or {}).items()
        if not (known and _has(store, version, name, expected))
    ]
    if not known or names:
        names.append(MANIFEST)
    for name in names:
        store.write(folder / name, version, name)
    return names


def _has_manifest(store: ObjectStore, version: str, manifest: bytes) -> bool:
    try:
        return store.read(version, MANIFEST) == manifest
    except IndexVersionError:
        return False


def _has(store: ObjectStore, version: str, name: str, expected: FileSum) -> bool:
    try:
        return store.size(version, name) == expected.bytes
    except IndexVersionError:
        return False
