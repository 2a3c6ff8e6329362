"""manifest.json: what an index version is. It guards itself: one changed byte and it is refused."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from imagetext.index.candidates import FAISS_INDEX, Effort
from imagetext.index.kinds import FLAT, KINDS, Wanted
from imagetext.index.tuning import Measured
from imagetext.wire.errors import IndexVersionError, InvalidParameter

FORMAT = 3
_SECOND = 2  # knew neither times, tags nor captions of pictures
_FIRST = 1  # knew flat alone besides, with a copy of the vectors in index.faiss

MANIFEST = "manifest.json"
VECTORS = "vectors.npy"
ROWS = "rows.sqlite"
SKIPPED = "skipped.jsonl"
OVERRIDES = "overrides.jsonl"


@dataclass(frozen=True)
class EncoderRef:
    """The encoder that made the vectors; vectors of different fingerprints must never be compared."""

    name: str
    fingerprint: str
    dimensions: int


@dataclass(frozen=True)
class FileSum:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """`images_root` is the absolute path of the indexed folder, undecodable bytes as lone surrogates, or the address of
    an object store.

    `factory` is what FAISS built index.faiss by, and `effort` how hard a search looks; flat has neither. `wanted` is
    what was asked for, `measured` what came of it; versions of format 1 do not say.
    """

    version: str
    created: datetime
    encoder: EncoderRef
    size: int
    images_root: str
    skipped: int
    kind: str = FLAT
    factory: str = ""
    effort: Effort | None = None
    wanted: Wanted | None = None
    measured: Measured | None = None
    merged: int | None = None
    files: dict[str, FileSum] | None = None  # None until all the files are written
    format: int = FORMAT


_SINCE_SECOND = ("factory", "effort", "wanted", "measured")


def files_of(kind: str, format: int = FORMAT, *, changes: bool = False) -> tuple[str, ...]:
    """The files beside the manifest; `changes`: the version holds changes that came through the API."""
    has_faiss = kind != FLAT or format == _FIRST
    files = (VECTORS, FAISS_INDEX, ROWS, SKIPPED) if has_faiss else (VECTORS, ROWS, SKIPPED)
    return (*files, OVERRIDES) if changes else files


def write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST).write_text(_to_json(manifest), encoding="ascii")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a version's folder.

    Raises:
        IndexVersionError: missing, damaged, or of a format or kind that is not read here.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise IndexVersionError(f"{MANIFEST} of index version {folder.name} is missing or unreadable.") from error
    return parse_manifest(text, folder.name)


def parse_manifest(text: bytes, version: str) -> Manifest:
    """What a manifest says; `version` is what its place is called. Raises as `read_manifest`."""
    try:
        fields = json.loads(text)
        if fields["format"] not in (_FIRST, _SECOND, FORMAT):
            raise _of_other_format(version, fields["format"])
        manifest = _from_fields(fields)
        intact = _to_json(manifest).encode("ascii") == text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidParameter) as error:
        raise _damaged(version) from error
    if not intact:
        raise _damaged(version)
    if manifest.kind not in KINDS:
        raise IndexVersionError(f"Index version {version} is of a kind that is not read here: {manifest.kind}.")
    return manifest


def add_files(manifest: Manifest, files: dict[str, FileSum]) -> Manifest:
    return replace(manifest, files=files)


def _to_json(manifest: Manifest) -> str:
    fields = asdict(manifest) | {"created": manifest.created.isoformat()}
    if manifest.format == _FIRST:
        fields = {name: value for name, value in fields.items() if name not in _SINCE_SECOND}
    if manifest.merged is None:
        del fields["merged"]
    checksum = hashlib.sha256(json.dumps(fields, sort_keys=True).encode("ascii")).hexdigest()
    return json.dumps(fields | {"checksum": checksum}, indent=2) + "\n"


def _from_fields(fields: dict[str, Any]) -> Manifest:
    known = {name: value for name, value in fields.items() if name != "checksum"}
    known["created"] = datetime.fromisoformat(known["created"])
    known["encoder"] = EncoderRef(**known["encoder"])
    names = files_of(known["kind"], known["format"], changes=known.get("merged") is not None)
    known["files"] = {name: FileSum(**known["files"][name]) for name in names}
    for name, of in (("effort", Effort), ("wanted", Wanted), ("measured", Measured)):
        known[name] = None if known.get(name) is None else of(**known[name])
    return Manifest(**known)


def _of_other_format(version: str, format: object) -> IndexVersionError:
    return IndexVersionError(
        f"{MANIFEST} of index version {version} has format {format}; formats {_FIRST} to {FORMAT} are read "
        f"here. Build the index again: python -m indexer build --images FOLDER --index DIR"
    )


def _damaged(version: str) -> IndexVersionError:
    return IndexVersionError(f"{MANIFEST} of index version {version} is damaged.")
