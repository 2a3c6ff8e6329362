"""manifest.json: what an index version is. It guards itself: one changed byte and it is refused."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from imagetext.errors import IndexVersionError, InvalidParameter
from imagetext.index.candidates import FAISS_INDEX, Effort
from imagetext.index.kinds import FLAT, KINDS, Wanted
from imagetext.index.tuning import Measured

FORMAT = 2
_FIRST = 1  # knew flat alone, with a copy of the vectors in index.faiss

MANIFEST = "manifest.json"
VECTORS = "vectors.npy"
ROWS = "rows.sqlite"
SKIPPED = "skipped.jsonl"


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
    files: dict[str, FileSum] | None = None  # None until all the files are written
    format: int = FORMAT


_SINCE_SECOND = ("factory", "effort", "wanted", "measured")


def files_of(kind: str, format: int = FORMAT) -> tuple[str, ...]:
    """The files beside the manifest."""
    has_faiss = kind != FLAT or format == _FIRST
    return (VECTORS, FAISS_INDEX, ROWS, SKIPPED) if has_faiss else (VECTORS, ROWS, SKIPPED)


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
    try:
        fields = json.loads(text)
        if fields["format"] not in (_FIRST, FORMAT):
            raise _of_other_format(folder, fields["format"])
        manifest = _from_fields(fields)
        intact = _to_json(manifest).encode("ascii") == text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidParameter) as error:
        raise _damaged(folder) from error
    if not intact:
        raise _damaged(folder)
    if manifest.kind not in KINDS:
        raise IndexVersionError(f"Index version {folder.name} is of a kind that is not read here: {manifest.kind}.")
    return manifest


def add_files(manifest: Manifest, files: dict[str, FileSum]) -> Manifest:
    return replace(manifest, files=files)


def _to_json(manifest: Manifest) -> str:
    fields = asdict(manifest) | {"created": manifest.created.isoformat()}
    if manifest.format == _FIRST:
        fields = {name: value for name, value in fields.items() if name not in _SINCE_SECOND}
    checksum = hashlib.sha256(json.dumps(fields, sort_keys=True).encode("ascii")).hexdigest()
    return json.dumps(fields | {"checksum": checksum}, indent=2) + "\n"


def _from_fields(fields: dict[str, Any]) -> Manifest:
    known = {name: value for name, value in fields.items() if name != "checksum"}
    known["created"] = datetime.fromisoformat(known["created"])
    known["encoder"] = EncoderRef(**known["encoder"])
    known["files"] = {name: FileSum(**known["files"][name]) for name in files_of(known["kind"], known["format"])}
    for name, of in (("effort", Effort), ("wanted", Wanted), ("measured", Measured)):
        known[name] = None if known.get(name) is None else of(**known[name])
    return Manifest(**known)


def _of_other_format(folder: Path, format: object) -> IndexVersionError:
    return IndexVersionError(
        f"{MANIFEST} of index version {folder.name} has format {format}; formats {_FIRST} to {FORMAT} are read "
        f"here. Build the index again: python -m indexer build --images FOLDER --index DIR"
    )


def _damaged(folder: Path) -> IndexVersionError:
    return IndexVersionError(f"{MANIFEST} of index version {folder.name} is damaged.")
