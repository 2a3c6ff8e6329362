"""manifest.json: what an index version is, and the size and checksum of each file beside it.

The manifest holds a checksum of itself, so a version in which any byte has changed is refused.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from imagetext.index.kinds import FLAT, KINDS, Effort, IndexOptions, Measured
from imagetext.wire.errors import IndexVersionError, InvalidParameter

FORMAT = 3

MANIFEST = "manifest.json"
VECTORS = "vectors.npy"
FAISS_INDEX = "index.faiss"
ROWS = "rows.sqlite"
SKIPPED = "skipped.jsonl"
OVERRIDES = "overrides.jsonl"

_OPTIONS_KEY = "wanted"  # the name of `Manifest.options` in the file


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
    """
    Attributes:
        images_root: the absolute path of the indexed folder, undecodable bytes as lone surrogates, or the address of an
            object store.
        factory: what FAISS built index.faiss from; empty for flat.
        effort: how thoroughly a search looks; None for flat.
        options: what was asked of the index.
        measured: how fast and exact the index turned out to be.
        merged: the position of the last change in the journal that this version holds; None: there was no journal.
        files: None until all files are written.
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
    options: IndexOptions | None = None
    measured: Measured | None = None
    merged: int | None = None
    files: dict[str, FileSum] | None = None
    format: int = FORMAT

    @property
    def file_names(self) -> tuple[str, ...]:
        """The files beside the manifest."""
        return _file_names(self.kind, self.merged is not None)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST).write_text(_to_json(manifest), encoding="ascii")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a version's folder.

    Raises:
        IndexVersionError: missing, damaged, or of an unknown format or kind.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise IndexVersionError(f"{MANIFEST} of index version {folder.name} is missing or unreadable.") from error
    return parse_manifest(text, folder.name)


def parse_manifest(text: bytes, version: str) -> Manifest:
    """As `read_manifest`; `version` is the name for error messages."""
    try:
        fields = json.loads(text)
        if fields["format"] != FORMAT:
            raise _other_format(version, fields["format"])
        manifest = _from_fields(fields)
        intact = _to_json(manifest).encode("ascii") == text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidParameter) as error:
        raise _damaged(version) from error
    if not intact:
        raise _damaged(version)
    if manifest.kind not in KINDS:
        raise IndexVersionError(f"Index version {version} is of the unknown kind {manifest.kind}.")
    return manifest


def verify(folder: Path) -> Manifest:
    """Read every byte of a version and compare it with the manifest, which is returned.

    Raises:
        IndexVersionError: a file is missing, truncated or changed; the message names it.
    """
    manifest = read_manifest(folder)
    check_sizes(folder, manifest)
    for name in manifest.files or {}:
        verify_file(folder, manifest, name)
    return manifest


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Check cheaply that every file exists with its size. Raises IndexVersionError naming the file if not."""
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


def verify_file(folder: Path, manifest: Manifest, name: str) -> None:
    """As `verify`, for one file."""
    try:
        found = sum_file(folder / name)
    except OSError as error:
        raise IndexVersionError(f"{name} of index version {manifest.version} cannot be read.") from error
    if found != (manifest.files or {}).get(name):
        raise IndexVersionError(f"{name} of index version {manifest.version} is damaged: its checksum differs.")


def sum_file(path: Path) -> FileSum:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileSum(bytes=file.tell(), sha256=digest)


def _file_names(kind: str, has_changes: bool) -> tuple[str, ...]:
    names = (VECTORS, ROWS, SKIPPED) if kind == FLAT else (VECTORS, FAISS_INDEX, ROWS, SKIPPED)
    return (*names, OVERRIDES) if has_changes else names


def _to_json(manifest: Manifest) -> str:
    fields = asdict(manifest) | {"created": manifest.created.isoformat()}
    # The order of the keys is part of the format.
    fields = {_OPTIONS_KEY if name == "options" else name: value for name, value in fields.items()}
    if manifest.merged is None:
        del fields["merged"]
    checksum = hashlib.sha256(json.dumps(fields, sort_keys=True).encode("ascii")).hexdigest()
    return json.dumps(fields | {"checksum": checksum}, indent=2) + "\n"


def _from_fields(fields: dict[str, Any]) -> Manifest:
    known = {name: value for name, value in fields.items() if name != "checksum"}
    known["created"] = datetime.fromisoformat(known["created"])
    known["encoder"] = EncoderRef(**known["encoder"])
    known["options"] = known.pop(_OPTIONS_KEY)
    names = _file_names(known["kind"], known.get("merged") is not None)
    known["files"] = {name: FileSum(**known["files"][name]) for name in names}
    for name, kind in (("effort", Effort), ("options", IndexOptions), ("measured", Measured)):
        known[name] = None if known[name] is None else kind(**known[name])
    return Manifest(**known)


def _other_format(version: str, format: object) -> IndexVersionError:
    return IndexVersionError(
        f"{MANIFEST} of index version {version} has format {format}, and only format {FORMAT} can be read. "
        f"Build the index again: python -m indexer build --images FOLDER --index DIR"
    )


def _damaged(version: str) -> IndexVersionError:
    return IndexVersionError(f"{MANIFEST} of index version {version} is damaged.")
