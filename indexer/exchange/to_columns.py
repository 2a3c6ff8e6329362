"""Rows of an index as columns of a collection: those that other programs look for, those that came with the pictures
from another collection, and `OWN` with the index's own row."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin

import pyarrow as pa

from imagetext.index import IndexReader, PictureRow
from imagetext.index.rows import encode_path
from indexer.exchange.collection import CAPTION, OWN, ROWS

_FIXED = {"image_path": pa.string(), CAPTION: pa.string(), "width": pa.int64(), "height": pa.int64()}
_TYPES: dict[type, pa.DataType] = {int: pa.int64(), str: pa.string(), float: pa.float64(), bool: pa.bool_()}
_TYPES[datetime] = pa.timestamp("us")
_OWN_FIELDS = [field for field in fields(PictureRow) if field.name != "row"]


class _Kind(Enum):
    """What a carried column holds, as in JSON."""

    BOOLEAN = pa.bool_()
    INTEGER = pa.int64()
    FLOAT = pa.float64()
    TEXT = pa.string()
    TEXTS = pa.list_(pa.string())
    OTHER = None  # written as JSON


def carried_schema(reader: IndexReader) -> dict[str, pa.DataType | None]:
    """The columns that came with any of the pictures, by name, each with one type; None: written as JSON."""
    kinds: dict[str, _Kind] = {}
    for span in _spans(reader):
        for carried in reader.carried(span):
            for name, value in carried.items():
                kind = _kind(value)
                kinds[name] = _joined(kinds.get(name, kind), kind)
    return {name: kinds[name].value for name in sorted(kinds)}


def schema(reader: IndexReader, carried: Mapping[str, pa.DataType | None], more: Iterable[pa.Field] = ()) -> pa.Schema:
    """The schema of an export: columns that others know, what is carried, `more`, and the index's own row.

    The file's metadata say where the pictures are and which encoder made the vectors.
    """
    others = {name: type or pa.string() for name, type in carried.items()}
    known = {name: others.pop(name, type) for name, type in _FIXED.items()}
    row = pa.struct([(field.name, _own_type(field.name, field.type)) for field in _OWN_FIELDS])
    columns = [pa.field(name, type) for name, type in {**known, **others}.items()]
    return pa.schema([*columns, *more, pa.field(OWN, row)], metadata={OWN: json.dumps(_note(reader))})


def to_columns(
    reader: IndexReader, carried: Mapping[str, pa.DataType | None], first: int, last: int
) -> list[dict[str, Any]]:
    """The rows from `first` to before `last`, without vectors."""
    span = range(first, last)
    pairs = zip(reader.pictures(span), reader.carried(span), strict=True)
    return [_columns(row, came, reader, carried) for row, came in pairs]


def has_captions(reader: IndexReader, carried: Mapping[str, pa.DataType | None]) -> bool:
    """Whether any picture has a caption."""
    return CAPTION in carried or any(row.captions for span in _spans(reader) for row in reader.pictures(span))


def captions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The caption of each row, empty where it has none."""
    found = (row.get(CAPTION) for row in rows)
    return [caption if isinstance(caption, str) else "" for caption in found]


def _spans(reader: IndexReader) -> Iterable[range]:
    size = reader.info.size
    return (range(first, min(first + ROWS, size)) for first in range(0, size, ROWS))


def _columns(
    row: PictureRow, came: Mapping[str, Any], reader: IndexReader, carried: Mapping[str, pa.DataType | None]
) -> dict[str, Any]:
    root = encode_path(reader.images_address).decode("utf-8", "replace")
    own = {field.name: _own_value(getattr(row, field.name)) for field in _OWN_FIELDS}
    return {
        "image_path": f"{root}/{row.shown_path}",
        CAPTION: next(iter(row.captions), None),
        "width": row.width or None,
        "height": row.height or None,
        **{name: value if carried[name] is not None else json.dumps(value) for name, value in came.items()},
        OWN: own | {"path": encode_path(row.path)},
    }


def _own_value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _own_type(name: str, type: Any) -> pa.DataType:
    if name == "path":  # may not be UTF-8
        return pa.binary()
    of = next((part for part in get_args(type) if part is not NoneType), type)
    held = _TYPES.get(of, pa.string())
    return pa.list_(held) if get_origin(type) is tuple else held


def _note(reader: IndexReader) -> dict[str, Any]:
    info = reader.info
    encoder = {"name": info.encoder, "fingerprint": info.fingerprint, "dimensions": reader.dimensions}
    return {"version": info.version, "images_root": reader.images_address, "encoder": encoder}


def _kind(value: Any) -> _Kind:
    if isinstance(value, bool):
        return _Kind.BOOLEAN
    if isinstance(value, int):
        return _Kind.INTEGER if -(2**63) <= value < 2**63 else _Kind.OTHER
    if isinstance(value, float):
        return _Kind.FLOAT
    if isinstance(value, str):
        return _Kind.TEXT
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return _Kind.TEXTS if texts else _Kind.OTHER


def _joined(one: _Kind, other: _Kind) -> _Kind:
    if one is other:
        return one
    return _Kind.FLOAT if {one, other} == {_Kind.INTEGER, _Kind.FLOAT} else _Kind.OTHER
