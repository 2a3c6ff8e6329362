"""manifest.json: what an index version is. It guards itself: one changed byte and it is refused."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from imagetext.errors import IndexVersionError

FORMAT = 1
FLAT = "flat"  # exact search; the only kind so far

MANIFEST = "manifest.json"
VECTORS = "vectors.npy"
FAISS_INDEX = "index.faiss"
ROWS = "rows.sqlite"
SKIPPED = "skipped.jsonl"
FILES = (VECTORS, FAISS_INDEX, ROWS, SKIPPED)


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
    """`images_root` is the absolute path of the indexed folder, undecodable bytes as lone surrogates."""

    version: str
    created: datetime
    encoder: EncoderRef
    size: int
    images_root: str
    skipped: int
    kind: str = FLAT
    files: dict[str, FileSum] | None = None  # None until all the files are written
    format: int = FORMAT


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
        if fields["format"] != FORMAT:
            raise IndexVersionError(
                f"{MANIFEST} of index version {folder.name} has format {fields['format']}, not {FORMAT}."
            )
        manifest = _from_fields(fields)
        intact = _to_json(manifest).encode("ascii") == text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(folder) from error
    if not intact:
        raise _damaged(folder)
    if manifest.kind != FLAT:
        raise IndexVersionError(f"Index version {folder.name} is of a kind that is not read here: {manifest.kind}.")
    return manifest


def add_files(manifest: Manifest, files: dict[str, FileSum]) -> Manifest:
    return replace(manifest, files=files)


def _to_json(manifest: Manifest) -> str:
    fields = asdict(manifest) | {"created": manifest.created.isoformat()}
    checksum = hashlib.sha256(json.dumps(fields, sort_keys=True).encode("ascii")).hexdigest()
    return json.dumps(fields | {"checksum": checksum}, indent=2) + "\n"


def _from_fields(fields: dict[str, Any]) -> Manifest:
    known = {name: value for name, value in fields.items() if name != "checksum"}
    known["created"] = datetime.fromisoformat(known["created"])
    known["encoder"] = EncoderRef(**known["encoder"])
    known["files"] = {name: FileSum(**known["files"][name]) for name in FILES}
    return Manifest(**known)


def _damaged(folder: Path) -> IndexVersionError:
    return IndexVersionError(f"{MANIFEST} of index version {folder.name} is damaged.")
