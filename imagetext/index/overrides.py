"""What the API's changes mean for a build: of the file in the folder and the change, the newer one counts.

A change counts more than the folder's file as long as the file has the content that the change was made over. So a
deleted picture stays out, and a replaced one replaced, until its file gets another content.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imagetext.errors import IndexVersionError
from imagetext.index.changes import Addition, Change, Over, Record, picture_from_json, picture_to_json
from imagetext.index.manifest import OVERRIDES
from imagetext.index.rows import PictureRow, picture_id


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
