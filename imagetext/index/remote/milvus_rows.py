"""A connection to Milvus: made when it is first used, its errors told as ours.

What a collection of Milvus holds: a vector and a picture for each row, and the manifest as a property.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from imagetext.index.remote.places import MilvusAddress
from imagetext.index.rows import PictureRow, encode_path
from imagetext.wire.errors import ImageTextError, InvalidParameter, Unavailable

CALL_SECONDS = 5.0

log = logging.getLogger(__name__)

_UNREACHED = 2  # Milvus's own codes
_NOT_LOADED = 101


class MilvusConnection:
    """All threads may share it. `reached` turns what pymilvus raises into Unavailable."""

    def __init__(self, address: MilvusAddress, token: str = "") -> None:
        """Reaches nothing yet. `token` is an API key or USER:PASSWORD, empty where none is asked for."""
        self.address = address
        self._token = token

    @cached_property
    def client(self) -> Any:
        """pymilvus's own client. Only within `reached`."""
        import pymilvus

        # It would log each error with its traceback before it raises it.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        if "://" not in self.address.uri:
            Path(self.address.uri).parent.mkdir(parents=True, exist_ok=True)
        return pymilvus.MilvusClient(uri=self.address.uri, token=self._token, timeout=CALL_SECONDS)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Raises Unavailable instead of anything that is not ours."""
        try:
            yield
        except ImageTextError:
            raise
        except ImportError as error:
            raise Unavailable('Milvus needs more to be installed: pip install "imagetext[milvus]"') from error
        except Exception as error:  # pymilvus lets errors of gRPC through
            code = getattr(error, "code", _UNREACHED)
            away = code == _UNREACHED or callable(code)  # that of gRPC's own is a method
            if not away:
                log.warning("Milvus refuses: %s", error)
            why = "cannot be reached" if away else "does not do what it is asked for"
            raise Unavailable(f"The Milvus of this index {why}.", retry_after=5) from error


def has_code(error: Exception, *codes: int) -> bool:
    return getattr(error, "code", None) in codes


def is_not_loaded(error: Exception) -> bool:
    """After a new start, Milvus Lite has its collections on the disk alone."""
    return has_code(error, _NOT_LOADED)


ROW, VECTOR, PATH, RAW_PATH = "row", "vector", "path", "raw_path"
PICTURE = (ROW, "id", PATH, RAW_PATH, "sha256", "bytes", "mtime_ns", "width", "height")
DESCRIPTION = "description"  # when it was taken, tags and captions, as JSON
ENTITY = (*PICTURE, DESCRIPTION)
MANIFEST_PROPERTY = "imagetext.manifest"

MOST_IDS = 10_000  # that a filter may name; it goes to Milvus as text with every search
_MOST_RANGES = 64
_LEAST_RANGE = 16

_TEXTS = {"id": 64, PATH: 65_535, RAW_PATH: 65_535, "sha256": 64, DESCRIPTION: 65_535}  # bytes at most


def schema_of(pymilvus: Any, dimensions: int) -> Any:
    types = pymilvus.DataType
    schema = pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ROW, types.INT64, is_primary=True)
    schema.add_field(VECTOR, types.FLOAT_VECTOR, dim=dimensions)
    for name in ENTITY[1:]:
        if name in _TEXTS:
            schema.add_field(name, types.VARCHAR, max_length=_TEXTS[name])
        else:
            schema.add_field(name, types.INT64)
    return schema


def to_entity(row: PictureRow, vector: NDArray[np.float32]) -> dict[str, Any]:
    """`path` as people read it, and the bytes of a path that is no UTF-8 beside it: Milvus keeps Unicode alone."""
    raw = encode_path(row.path)
    is_plain = row.shown_path.encode() == raw
    fields = {name: getattr(row, name) for name in PICTURE if name not in (PATH, RAW_PATH)}
    said = {"taken": row.taken.isoformat() if row.taken else None, "tags": row.tags, "captions": row.captions}
    described = json.dumps(said, ensure_ascii=False)
    if len(described.encode()) > _TEXTS[DESCRIPTION]:
        raise InvalidParameter(f"The captions of {row.shown_path} are too long for Milvus.")
    texts = {PATH: row.shown_path, RAW_PATH: "" if is_plain else quote(raw), DESCRIPTION: described}
    return fields | {VECTOR: vector, **texts}


def to_row(entity: dict[str, Any]) -> PictureRow:
    said = json.loads(entity[DESCRIPTION])
    row = PictureRow(
        **{name: entity[name] for name in PICTURE if name != RAW_PATH},
        taken=None if said["taken"] is None else datetime.fromisoformat(said["taken"]),
        tags=tuple(said["tags"]),
        captions=tuple(said["captions"]),
    )
    if entity[RAW_PATH]:
        return replace(row, path=unquote_to_bytes(entity[RAW_PATH]).decode("utf-8", "surrogateescape"))
    return row


def row_filter(allowed: NDArray[np.int64]) -> str:
    """Milvus's expression for some rows: the longest runs as ranges, the others one by one.

    Raises:
        InvalidParameter: it would be too long.
    """
    rows = np.sort(allowed)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
    runs.sort(key=len, reverse=True)
    ranges = [run for run in runs[:_MOST_RANGES] if len(run) >= _LEAST_RANGE]
    single = [row for run in runs[len(ranges) :] for row in run.tolist()]
    if len(single) > MOST_IDS:
        raise InvalidParameter(
            f"The filter leaves {len(rows):,} pictures in too many places for Milvus; "
            f"narrow it until {MOST_IDS:,} are left."
        )
    terms = [f"({ROW} >= {run[0]} and {ROW} <= {run[-1]})" for run in ranges]
    return " or ".join([*terms, *_members(single)])


def _members(rows: Sequence[int]) -> list[str]:
    return [f"{ROW} in [{','.join(map(str, rows))}]"] if rows else []
