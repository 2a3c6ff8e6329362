"""Index versions: written once by the indexer, searched by every retrieval replica, never changed in place.

<index>/CURRENT                     the name of the published version, replaced atomically
<index>/build.json                  the progress of the running build, replaced atomically
<index>/versions/<version>/
    manifest.json                   what this version is, and the size and checksum of each file beside it
    vectors.npy                     (size, dimensions) float32, unit rows
    index.faiss                     nominates rows for a query, in the approximate kinds; exact search needs none
    rows.sqlite                     one picture per row of the vectors
    skipped.jsonl                   files that could not be indexed, each with its reason
    overrides.jsonl                 changes through the API that the next build must know of, if there were any
<index>/journal/                    the changes since, followed by every replica
<index>/added/                      the files of the pictures that were added through the API
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagetext.index.changes.collection import Collection
    from imagetext.index.kinds import IndexOptions
    from imagetext.index.manifest import EncoderRef, Manifest, read_manifest, verify
    from imagetext.index.reader import IndexReader
    from imagetext.index.rows import PictureRow, picture_id
    from imagetext.index.versions import current_version, list_versions, publish, version_folder
    from imagetext.index.writer import SkippedFile, read_skipped, write_version

__all__ = [
    "Collection",
    "EncoderRef",
    "IndexOptions",
    "IndexReader",
    "Manifest",
    "PictureRow",
    "SkippedFile",
    "current_version",
    "list_versions",
    "picture_id",
    "publish",
    "read_manifest",
    "read_skipped",
    "verify",
    "version_folder",
    "write_version",
]

# Each name is imported when it is first used: a command line that only prints its help does not load FAISS.
_MODULES = {
    "Collection": "changes.collection",
    "IndexOptions": "kinds",
    "EncoderRef": "manifest",
    "Manifest": "manifest",
    "read_manifest": "manifest",
    "verify": "manifest",
    "IndexReader": "reader",
    "PictureRow": "rows",
    "picture_id": "rows",
    "current_version": "versions",
    "list_versions": "versions",
    "publish": "versions",
    "version_folder": "versions",
    "SkippedFile": "writer",
    "read_skipped": "writer",
    "write_version": "writer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
