"""What is said of single pictures between two builds: each change is one record of the journal.

What the API's changes mean for a build: of the file in the folder and the change, the newer one counts.

A change counts more than the folder's file as long as the file has the content that the change was made over. So a
deleted picture stays out, and a replaced one replaced, until its file gets another content.
"""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagetext.index.manifest import OVERRIDES
from imagetext.index.rows import PictureRow, picture_id
from imagetext.wire.errors import IndexVersionError

_LENGTH = struct.Struct("<I")
_PICTURE = ("id", "path", "sha256", "bytes", "mtime_ns", "width", "height")
NO_ROW = -1  # of a picture that is not in a version yet


@dataclass(frozen=True, slots=True)
class Over:
    """The picture that a change takes away, by its content and by how its file looked."""

    sha256: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Addition:
    """A new picture, or another in the place of `over`.

    `picture` has no row number yet; its file lies among the added pictures. `vector` is (dimensions,) float32 of unit
    length, made by the encoder of `fingerprint`.
    """

    picture: PictureRow
    vector: NDArray[np.float32]
    fingerprint: str
    time_ns: int
    over: Over | None = None

    @property
    def id(self) -> str:
        return self.picture.id


@dataclass(frozen=True)
class Deletion:
    """A picture that is to be found no more; `over` is what it was."""

    id: str
    path: str
    time_ns: int
    over: Over


Change = Addition | Deletion


@dataclass(frozen=True)
class Record:
    """A change with its place in the order of all changes, counted from 1."""

    position: int
    change: Change


def over(picture: PictureRow) -> Over:
    return Over(picture.sha256, picture.bytes, picture.mtime_ns)


def encode_change(change: Change) -> bytes:
    """The length of a JSON object, the object, and the bytes of the vector if there is one."""
    fields: dict[str, Any] = {"time_ns": change.time_ns, "over": None if change.over is None else asdict(change.over)}
    if isinstance(change, Deletion):
        text = json.dumps(fields | {"kind": "deletion", "id": change.id, "path": change.path}).encode("ascii")
        return _LENGTH.pack(len(text)) + text
    fields |= {"kind": "addition", "picture": picture_to_json(change.picture)}
    fields |= {"fingerprint": change.fingerprint}
    text = json.dumps(fields).encode("ascii")  # json's own escapes keep undecodable paths
    return _LENGTH.pack(len(text)) + text + change.vector.astype("<f4").tobytes()


def decode_change(payload: bytes) -> Change:
    """Raises ValueError for anything else than `encode_change` makes."""
    try:
        (length,) = _LENGTH.unpack_from(payload)
        fields = json.loads(payload[_LENGTH.size : _LENGTH.size + length])
        taken = None if fields["over"] is None else Over(**fields["over"])
        if fields["kind"] == "deletion" and taken is not None:
            return Deletion(fields["id"], fields["path"], fields["time_ns"], taken)
        picture = picture_from_json(fields["picture"])
        vector = np.frombuffer(payload, dtype="<f4", offset=_LENGTH.size + length).astype(np.float32)
        return Addition(picture, vector, fields["fingerprint"], fields["time_ns"], taken)
    except (struct.error, KeyError, TypeError) as error:
        raise ValueError("not a change") from error


def picture_to_json(picture: PictureRow) -> dict[str, Any]:
    """Without its row number."""
    taken = None if picture.taken is None else picture.taken.isoformat()
    described = {"taken": taken, "tags": list(picture.tags), "captions": list(picture.captions)}
    return {name: getattr(picture, name) for name in _PICTURE} | described


def picture_from_json(fields: Mapping[str, Any]) -> PictureRow:
    """Raises KeyError or ValueError."""
    taken = None if fields["taken"] is None else datetime.fromisoformat(fields["taken"])
    row = PictureRow(NO_ROW, *(fields[name] for name in _PICTURE))
    return replace(row, taken=taken, tags=tuple(fields["tags"]), captions=tuple(fields["captions"]))


@dataclass(frozen=True)
class Override:
    """`picture` is the added one, None where it was deleted; `over` the folder's file that it counts more than, None as
    long as there was none."""

    path: str
    time_ns: int
    over: Over | None
    picture: PictureRow | None

    @property
    def id(self) -> str:
        return picture_id(self.path)


def apply_records(overrides: Mapping[str, Override], records: Iterable[Record]) -> dict[str, Override]:
    """The overrides by id, after some more changes."""
    result = dict(overrides)
    for change in (record.change for record in records):
        over = _over(change, result.get(change.id))
        if isinstance(change, Addition):
            result[change.id] = Override(change.picture.path, change.time_ns, over, change.picture)
        elif over is None:
            result.pop(change.id, None)
        else:
            result[change.id] = Override(change.path, change.time_ns, over, None)
    return result


def _over(change: Change, before: Override | None) -> Over | None:
    """The folder's file that a change counts more than: not the picture that came by the change before."""
    if before is None:
        return change.over
    added = None if before.picture is None else before.picture.sha256
    return before.over if change.over is None or change.over.sha256 == added else change.over


def write_overrides(folder: Path, overrides: Sequence[Override]) -> None:
    lines = (json.dumps(_to_json(override)) + "\n" for override in sorted(overrides, key=lambda each: each.id))
    (folder / OVERRIDES).write_text("".join(lines), encoding="ascii")


def read_overrides(folder: Path) -> dict[str, Override]:
    """Those of a version's folder, by id; none where it has no such file.

    Raises:
        IndexVersionError: the file is damaged.
    """
    try:
        lines = (folder / OVERRIDES).read_text("ascii").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(folder) from error
    try:
        found = [_from_json(json.loads(line)) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder) from error
    return {override.id: override for override in found}


def _to_json(override: Override) -> dict[str, Any]:
    return {
        "path": override.path,
        "time_ns": override.time_ns,
        "over": None if override.over is None else asdict(override.over),
        "picture": None if override.picture is None else picture_to_json(override.picture),
    }


def _from_json(fields: Mapping[str, Any]) -> Override:
    return Override(
        fields["path"],
        fields["time_ns"],
        None if fields["over"] is None else Over(**fields["over"]),
        None if fields["picture"] is None else picture_from_json(fields["picture"]),
    )


def _damaged(folder: Path) -> IndexVersionError:
    return IndexVersionError(f"{OVERRIDES} of index version {folder.name} is damaged.")
