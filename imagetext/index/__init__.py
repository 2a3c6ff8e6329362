"""Index versions: written once by the indexer, searched by every retrieval replica, never changed in place.

<index>/CURRENT                     the name of the published version, replaced atomically
<index>/build.json                  how far the running build is, replaced atomically; see build_progress.py
<index>/versions/<version>/
    manifest.json                   what this version is, and the size and checksum of each file beside it
    vectors.npy                     (size, dimensions) float32, unit rows
    index.faiss                     nominates rows for a query, in the approximate kinds; exact search needs none
    rows.sqlite                     one picture per row of the vectors
    skipped.jsonl                   files that could not be indexed, each with its reason
    overrides.jsonl                 changes through the API that the next build must know of, where there were any
<index>/journal/                    the changes since, followed by every replica
<index>/added/                      the files of the pictures that came through the API
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagetext.index.changes.collection import Collection
    from imagetext.index.kinds import Wanted
    from imagetext.index.manifest import EncoderRef, Manifest, read_manifest
    from imagetext.index.reader import IndexReader
    from imagetext.index.rows import PictureRow, picture_id
    from imagetext.index.verification import verify
    from imagetext.index.versions import current_version, list_versions, publish, version_folder
    from imagetext.index.writer import SkippedFile, read_skipped, write_version

__all__ = [
    "Collection",
    "EncoderRef",
    "IndexReader",
    "Manifest",
    "PictureRow",
    "SkippedFile",
    "Wanted",
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

# Each name is imported when it is first asked for: a command line that only shows its help needs no FAISS.
_MODULES = {
    "Collection": "changes.collection",
    "Wanted": "kinds",
    "EncoderRef": "manifest",
    "Manifest": "manifest",
    "read_manifest": "manifest",
    "IndexReader": "reader",
    "PictureRow": "rows",
    "picture_id": "rows",
    "verify": "verification",
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
