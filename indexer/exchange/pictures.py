"""A collection's columns to the rows of an index: where each picture lies, and what came with it."""

import hashlib
import json
import math
import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import takewhile
from pathlib import Path
from typing import Any

from imagetext.index import PictureRow, picture_id
from imagetext.index.rows import clean_captions, unknown_content
from imagetext.models.transform import DECODED_SIDE
from imagetext.pictures import open_picture, read_picture_file
from imagetext.wire.errors import ImageTextError, InvalidParameter
from indexer.exchange.layout import EMBEDDING, OWN
from indexer.exchange.shards import Shard, file_note, read_columns

PATH_COLUMNS = ("image_path", "key", "url")  # the first that is there names the pictures
_ROW_FIELDS = frozenset(field.name for field in fields(PictureRow)) - {"row"}


@dataclass(frozen=True)
class Place:
    """Where a collection's pictures lie. What their paths begin with as they are written, `shared`, stands for the
    folder `below` in `root`; both are empty or end with a slash. `column` names the pictures; `moved` if somebody said
    where they are now."""

    root: Path
    shared: str
    below: str
    column: str
    moved: bool


@dataclass(frozen=True)
class Origin:
    """What an index's own export says of itself."""

    images_root: str
    fingerprint: str


def read_origin(shards: Sequence[Shard]) -> Origin | None:
    """None if the collection was made by another program. Raises InvalidParameter."""
    note = file_note(shards[0].table, OWN)
    if note is None:
        return None
    try:
        said = json.loads(note)
        return Origin(str(said["images_root"]), str(said["encoder"]["fingerprint"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidParameter(f"What {shards[0].table.name} says of its origin cannot be read.") from error


def find_place(shards: Sequence[Shard], source: Path, images: Path | None, origin: Origin | None) -> Place:
    """Reads the paths of all pictures, unless the collection says where they lie.

    Args:
        images: where the pictures lie now, if somebody said so.

    Raises:
        InvalidParameter: nothing names the pictures.
    """
    moved = images is not None
    if origin is not None:
        return Place(Path(os.path.abspath(images or origin.images_root)), "", "", PATH_COLUMNS[0], moved)
    names = set(next(read_columns(shards[0].table))[0])
    column = next((name for name in PATH_COLUMNS if name in names), None)
    if column is None:
        raise InvalidParameter(f"{shards[0].table.name} has no column {' or '.join(PATH_COLUMNS)}.")
    paths = (row[column] for shard in shards for rows in read_columns(shard.table, [column]) for row in rows)
    shared = _shared_folder(_plain(path) for path in paths if isinstance(path, str) and path)
    root = Path(os.path.abspath(images or shared or source))
    written = Path(os.path.abspath(shared))
    inside = moved and shared != "" and written.is_relative_to(root)
    below = "".join(f"{part}/" for part in written.relative_to(root).parts) if inside else ""
    return Place(root, shared, below, column, moved)


def to_row(number: int, columns: Mapping[str, Any], place: Place) -> tuple[PictureRow, dict[str, Any]] | str:
    """A row with the number, and what is carried along with it; or the reason why there is none.

    The file is read if it is there; one that is not, or is no picture, stops nothing.
    """
    own = columns.get(OWN)
    written = columns.get(place.column)
    if isinstance(own, dict):
        row = _own_row(number, own)
    elif isinstance(written, str) and written:
        row = _read(number, place.below + _plain(written).removeprefix(place.shared), columns, place.root)
    else:
        return f"It has no {place.column}."
    if row.path.startswith(("../", "/")) or "\0" in row.path:
        return "Its path leads out of the folder of the pictures."
    return row, _carried(columns, row, place)


def _own_row(number: int, own: Mapping[str, Any]) -> PictureRow:
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in own.items()}
    try:
        said["path"] = said["path"].decode("utf-8", "surrogateescape")
        return PictureRow(row=number, **{name: value for name, value in said.items() if name in _ROW_FIELDS})
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidParameter(f"The column {OWN} of the collection lacks what a picture needs.") from error


def _read(number: int, path: str, columns: Mapping[str, Any], root: Path) -> PictureRow:
    id = picture_id(path)
    try:
        content = read_picture_file(root / path)
        width, height = open_picture(content, target=DECODED_SIDE).info["full_size"]
        sha256, mtime_ns = hashlib.sha256(content).hexdigest(), (root / path).stat().st_mtime_ns
    except (ImageTextError, OSError):
        told = (_whole(columns.get("width")), _whole(columns.get("height")))
        told = told if all(told) else (0, 0)
        return PictureRow(number, id, path, unknown_content(id), 0, 0, *told, captions=_captions(columns))
    return PictureRow(number, id, path, sha256, len(content), mtime_ns, width, height, captions=_captions(columns))


def _captions(columns: Mapping[str, Any]) -> tuple[str, ...]:
    caption = columns.get("caption")
    return clean_captions([caption]) if isinstance(caption, str) else ()


def _carried(columns: Mapping[str, Any], row: PictureRow, place: Place) -> dict[str, Any]:
    """As JSON can say it, without what is missing and what the row says; bytes are left out."""
    left_out = {OWN, EMBEDDING, *(name for name in ("width", "height") if columns.get(name) == getattr(row, name))}
    if columns.get("caption") in row.captions:
        left_out.add("caption")
    if place.moved or columns.get(PATH_COLUMNS[0]) == f"{place.root}/{row.shown_path}":
        left_out.add(PATH_COLUMNS[0])
    said = {name: _sayable(value) for name, value in columns.items() if name not in left_out}
    return {name: value for name, value in said.items() if value is not None}


def _sayable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_sayable(item) for item in value]
    if isinstance(value, dict):
        return {name: _sayable(item) for name, item in value.items()}
    if value is None or isinstance(value, str | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else None


def _whole(value: Any) -> int:
    usable = isinstance(value, int | float) and math.isfinite(value) and 0 < value < 2**31
    return int(value) if usable else 0


def _plain(path: str) -> str:
    return path if "://" in path else posixpath.normpath(path)


def _shared_folder(paths: Iterable[str]) -> str:
    """What all paths begin with, up to a slash; nothing where some are addresses."""
    shared: list[str] | None = None
    for path in paths:
        folders = [] if "://" in path else path.split("/")[:-1]
        if shared is None:
            shared = folders
        elif folders[: len(shared)] != shared:
            pairs = zip(shared, folders, strict=False)
            shared = [one for one, other in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return "".join(f"{folder}/" for folder in shared or [])
