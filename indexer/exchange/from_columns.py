"""Columns of a collection as rows of an index: where each picture is, and what came with it."""

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

from imagetext.files import replacing
from imagetext.index import PictureRow, picture_id
from imagetext.index.rows import clean_captions, clean_tags, unknown_content
from imagetext.models.transform import DECODED_SIDE
from imagetext.pictures import open_picture, read_metadata, read_picture_file
from imagetext.wire.errors import ImageTextError, InvalidParameter
from indexer.exchange.collection import CAPTION, EMBEDDING, OWN, Layout, Shard, file_note, read_columns

PATH_COLUMNS = ("image_path", "key", "url")  # the first that is there names the pictures
IMAGES = "Images"  # the folder for the pictures that a table carries

_ROW_FIELDS = frozenset(field.name for field in fields(PictureRow)) - {"row"}


@dataclass(frozen=True)
class ExportNote:
    """What the export of an index says about the index."""

    images_root: str
    fingerprint: str


@dataclass(frozen=True)
class PictureFolder:
    """Where a collection's pictures are.

    Paths in the collection begin with `shared`, which stands for the folder `below` in `root`; both are empty or end
    with a slash. `column` names the pictures. `moved`: the user said where they are.
    """

    root: Path
    shared: str = ""
    below: str = ""
    column: str = PATH_COLUMNS[0]
    moved: bool = True


def read_note(shards: Sequence[Shard], layout: Layout) -> ExportNote | None:
    """None if the collection was made by another program. Raises InvalidParameter."""
    note = None if layout is Layout.TABLE else file_note(shards[0].table, OWN)
    if note is None:
        return None
    try:
        written = json.loads(note)
        return ExportNote(str(written["images_root"]), str(written["encoder"]["fingerprint"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidParameter(f"The note about the index in {shards[0].table.name} cannot be read.") from error


def find_pictures(
    shards: Sequence[Shard], layout: Layout, source: Path, images: Path | None, note: ExportNote | None
) -> PictureFolder:
    """Where the pictures are. Reads all paths, unless the collection says or carries its pictures.

    Args:
        images: where the pictures are, if the user said so; for a table, where they are to be written.

    Raises:
        InvalidParameter: no column names the pictures.
    """
    if layout is Layout.TABLE:
        assert images is not None, "a table's pictures are written to a folder"
        return PictureFolder(Path(os.path.abspath(images)) / IMAGES)
    moved = images is not None
    if note is not None:
        return PictureFolder(Path(os.path.abspath(images or note.images_root)), moved=moved)
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
    return PictureFolder(root, shared, below, column, moved)


def to_row(columns: Mapping[str, Any], folder: PictureFolder) -> tuple[PictureRow, dict[str, Any]] | str:
    """Row 0 and the fields carried with it, or the reason why the picture cannot be indexed.

    The file is read if it is there; a missing file, or one that is no picture, is not an error.
    """
    own = columns.get(OWN)
    written = columns.get(folder.column)
    if isinstance(own, dict):
        row = _own_row(own)
    elif isinstance(written, str) and written:
        row = _read(folder.below + _plain(written).removeprefix(folder.shared), columns, folder.root)
    else:
        return f"It has no {folder.column}."
    if row.path.startswith(("../", "/")) or "\0" in row.path:
        return "Its path leads out of the folder of the pictures."
    return row, _carried(columns, row, folder)


def save_picture(name: str, content: bytes, columns: Mapping[str, Any], folder: PictureFolder) -> PictureRow | str:
    """Write a picture that the collection carries, unless the same is there; row 0, or why there is none."""
    path = folder.root / name
    try:
        width, height = open_picture(content, target=DECODED_SIDE).info["full_size"]
    except ImageTextError as error:
        return error.detail
    if not (path.is_file() and path.read_bytes() == content):
        replace_file(path, content)
    return _seen_row(name, content, path, (width, height), columns)


def replace_file(path: Path, content: bytes) -> None:
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def _own_row(own: Mapping[str, Any]) -> PictureRow:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in own.items()}
    try:
        values["path"] = values["path"].decode("utf-8", "surrogateescape")
        return PictureRow(row=0, **{name: value for name, value in values.items() if name in _ROW_FIELDS})
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidParameter(f"The column {OWN} of the collection lacks a field that every picture has.") from error


def _read(path: str, columns: Mapping[str, Any], root: Path) -> PictureRow:
    try:
        content = read_picture_file(root / path)
        size = open_picture(content, target=DECODED_SIDE).info["full_size"]
        return _seen_row(path, content, root / path, size, columns)
    except (ImageTextError, OSError):
        id = picture_id(path)
        told = (_positive_integer(columns.get("width")), _positive_integer(columns.get("height")))
        told = told if all(told) else (0, 0)
        return PictureRow(0, id, path, unknown_content(id), 0, 0, *told, captions=_captions(columns))


def _seen_row(path: str, content: bytes, file: Path, size: tuple[int, int], columns: Mapping[str, Any]) -> PictureRow:
    metadata, sha256 = read_metadata(content), hashlib.sha256(content).hexdigest()
    return PictureRow(
        0,
        picture_id(path),
        path,
        sha256,
        len(content),
        file.stat().st_mtime_ns,
        *size,
        taken=metadata.taken,
        tags=clean_tags(metadata.tags),
        captions=_captions(columns),
    )


def _captions(columns: Mapping[str, Any]) -> tuple[str, ...]:
    caption = columns.get(CAPTION)
    return clean_captions([caption]) if isinstance(caption, str) else ()


def _carried(columns: Mapping[str, Any], row: PictureRow, folder: PictureFolder) -> dict[str, Any]:
    """The columns as JSON can hold them, without empty ones and those that the row repeats; bytes are left out."""
    left_out = {OWN, EMBEDDING, *(name for name in ("width", "height") if columns.get(name) == getattr(row, name))}
    if columns.get(CAPTION) in row.captions:
        left_out.add(CAPTION)
    if folder.moved or columns.get(PATH_COLUMNS[0]) == f"{folder.root}/{row.shown_path}":
        left_out.add(PATH_COLUMNS[0])
    kept = {name: _as_json(value) for name, value in columns.items() if name not in left_out}
    return {name: value for name, value in kept.items() if value is not None}


def _as_json(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if value is None or isinstance(value, str | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else None


def _positive_integer(value: Any) -> int:
    """0 for anything else."""
    usable = isinstance(value, int | float) and math.isfinite(value) and 0 < value < 2**31
    return int(value) if usable else 0


def _plain(path: str) -> str:
    return path if "://" in path else posixpath.normpath(path)


def _shared_folder(paths: Iterable[str]) -> str:
    """What all paths begin with, up to a slash; empty where some are addresses."""
    shared: list[str] | None = None
    for path in paths:
        folders = [] if "://" in path else path.split("/")[:-1]
        if shared is None:
            shared = folders
        elif folders[: len(shared)] != shared:
            pairs = zip(shared, folders, strict=False)
            shared = [one for one, other in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return "".join(f"{folder}/" for folder in shared or [])
