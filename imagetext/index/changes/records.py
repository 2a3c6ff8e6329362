"""Changes to single pictures between two builds, as the journal stores them and as the next build applies them.

A change overrides the file in the indexed folder as long as that file still has the content that the change was made
over. So a deleted picture stays deleted, and a replaced one replaced, until its file changes.
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

NO_ROW = -1  # of a picture that is not in a version yet

_LENGTH = struct.Struct("<I")
_PICTURE = ("id", "path", "sha256", "bytes", "mtime_ns", "width", "height")


@dataclass(frozen=True, slots=True)
class Over:
    """The picture that a change replaces or deletes, by its content and its file's status."""

    sha256: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Addition:
    """A new picture, or one that replaces `over`.

    `picture` has no row number yet; its file is among the added pictures. `vector` is (dimensions,) float32 of unit
    length, made by the encoder with `fingerprint`.
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
    """A picture that must no longer be found; `over` is what it was."""

    id: str
    path: str
    time_ns: int
    over: Over


Change = Addition | Deletion


@dataclass(frozen=True)
class Record:
    """A change with its position in the order of all changes, counted from 1."""

    position: int
    change: Change


@dataclass(frozen=True)
class Override:
    """What the changes to one path mean for a build.

    Attributes:
        over: the file in the indexed folder that is overridden; None if there was none.
        picture: the added picture; None if it was deleted.
    """

    path: str
    time_ns: int
    over: Over | None
    picture: PictureRow | None

    @property
    def id(self) -> str:
        return picture_id(self.path)


def over(picture: PictureRow) -> Over:
    return Over(picture.sha256, picture.bytes, picture.mtime_ns)


def encode_change(change: Change) -> bytes:
    """The length of a JSON object, the object, and the bytes of the vector if there is one."""
    fields: dict[str, Any] = {"time_ns": change.time_ns, "over": _over_to_json(change.over)}
    vector = b""
    if isinstance(change, Deletion):
        fields |= {"kind": "deletion", "id": change.id, "path": change.path}
    else:
        fields |= {"kind": "addition", "picture": _picture_to_json(change.picture), "fingerprint": change.fingerprint}
        vector = change.vector.astype("<f4").tobytes()
    text = json.dumps(fields).encode("ascii")  # json's own escapes keep undecodable paths
    return _LENGTH.pack(len(text)) + text + vector


def decode_change(payload: bytes) -> Change:
    """The inverse of `encode_change`. Raises ValueError for anything else."""
    try:
        (length,) = _LENGTH.unpack_from(payload)
        fields = json.loads(payload[_LENGTH.size : _LENGTH.size + length])
        before = _over_from_json(fields["over"])
        if fields["kind"] == "deletion" and before is not None:
            return Deletion(fields["id"], fields["path"], fields["time_ns"], before)
        picture = _picture_from_json(fields["picture"])
        vector = np.frombuffer(payload, dtype="<f4", offset=_LENGTH.size + length).astype(np.float32)
        return Addition(picture, vector, fields["fingerprint"], fields["time_ns"], before)
    except (struct.error, KeyError, TypeError) as error:
        raise ValueError("not a change") from error


def apply_records(overrides: Mapping[str, Override], records: Iterable[Record]) -> dict[str, Override]:
    """The overrides by id, after some more changes."""
    result = dict(overrides)
    for change in (record.change for record in records):
        over = _overridden_file(change, result.get(change.id))
        if isinstance(change, Addition):
            result[change.id] = Override(change.picture.path, change.time_ns, over, change.picture)
        elif over is None:
            result.pop(change.id, None)
        else:
            result[change.id] = Override(change.path, change.time_ns, over, None)
    return result


def write_overrides(folder: Path, overrides: Sequence[Override]) -> None:
    lines = (json.dumps(_override_to_json(override)) + "\n" for override in sorted(overrides, key=lambda each: each.id))
    (folder / OVERRIDES).write_text("".join(lines), encoding="ascii")


def read_overrides(folder: Path) -> dict[str, Override]:
    """Those of a version's folder, by id; empty if it has no such file.

    Raises:
        IndexVersionError: the file is damaged.
    """
    try:
        lines = (folder / OVERRIDES).read_text("ascii").splitlines()
        found = [_override_from_json(json.loads(line)) for line in lines]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexVersionError(f"{OVERRIDES} of index version {folder.name} is damaged.") from error
    return {override.id: override for override in found}


def _overridden_file(change: Change, before: Override | None) -> Over | None:
    """The file in the indexed folder that a change overrides: not the picture that the change before it added."""
    if before is None:
        return change.over
    added = None if before.picture is None else before.picture.sha256
    return before.over if change.over is None or change.over.sha256 == added else change.over


def _override_to_json(override: Override) -> dict[str, Any]:
    return {
        "path": override.path,
        "time_ns": override.time_ns,
        "over": _over_to_json(override.over),
        "picture": None if override.picture is None else _picture_to_json(override.picture),
    }


def _override_from_json(fields: Mapping[str, Any]) -> Override:
    picture = None if fields["picture"] is None else _picture_from_json(fields["picture"])
    return Override(fields["path"], fields["time_ns"], _over_from_json(fields["over"]), picture)


def _over_to_json(over: Over | None) -> dict[str, Any] | None:
    return None if over is None else asdict(over)


def _over_from_json(fields: Mapping[str, Any] | None) -> Over | None:
    return None if fields is None else Over(**fields)


def _picture_to_json(picture: PictureRow) -> dict[str, Any]:
    """Without its row number."""
    taken = None if picture.taken is None else picture.taken.isoformat()
    described = {"taken": taken, "tags": list(picture.tags), "captions": list(picture.captions)}
    return {name: getattr(picture, name) for name in _PICTURE} | described


def _picture_from_json(fields: Mapping[str, Any]) -> PictureRow:
    """Raises KeyError or ValueError."""
    taken = None if fields["taken"] is None else datetime.fromisoformat(fields["taken"])
    row = PictureRow(NO_ROW, *(fields[name] for name in _PICTURE))
    return replace(row, taken=taken, tags=tuple(fields["tags"]), captions=tuple(fields["captions"]))
