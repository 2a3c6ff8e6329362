"""The connection to Milvus, and what a collection holds: a vector and a picture per row, the manifest as a property."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from imagetext.index.remote.location import MilvusAddress
from imagetext.index.rows import PictureRow, encode_path
from imagetext.wire.errors import ImageTextError, InvalidParameter, Unavailable

CALL_SECONDS = 5.0

ROW, VECTOR, PATH, RAW_PATH = "row", "vector", "path", "raw_path"
PICTURE = (ROW, "id", PATH, RAW_PATH, "sha256", "bytes", "mtime_ns", "width", "height")
DESCRIPTION = "description"  # time taken, tags and captions, as JSON
ENTITY = (*PICTURE, DESCRIPTION)
MANIFEST_PROPERTY = "imagetext.manifest"

MAX_IDS = 10_000  # in a filter, which goes to Milvus as text with every search
_MAX_RANGES = 64
_MIN_RANGE = 16

_MAX_BYTES = {"id": 64, PATH: 65_535, RAW_PATH: 65_535, "sha256": 64, DESCRIPTION: 65_535}

_UNREACHABLE = 2  # error codes of Milvus
_NOT_LOADED = 101

log = logging.getLogger(__name__)


class MilvusConnection:
    """Thread-safe, and connected on first use. `reached` turns what pymilvus raises into Unavailable."""

    def __init__(self, address: MilvusAddress, token: str = "") -> None:
        """`token` is an API key or USER:PASSWORD, empty if the server asks for none."""
        self.address = address
        self._token = token

    @cached_property
    def client(self) -> Any:
        """The client of pymilvus. Only within `reached`."""
        import pymilvus

        # It would log every error with a traceback before it raises it.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        if "://" not in self.address.uri:
            Path(self.address.uri).parent.mkdir(parents=True, exist_ok=True)
        return pymilvus.MilvusClient(uri=self.address.uri, token=self._token, timeout=CALL_SECONDS)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Raises Unavailable instead of any error that is not an ImageTextError."""
        try:
            yield
        except ImageTextError:
            raise
        except ImportError as error:
            raise Unavailable('The packages for Milvus are not installed: pip install "imagetext[milvus]"') from error
        except Exception as error:  # pymilvus lets errors of gRPC through
            code = getattr(error, "code", _UNREACHABLE)
            away = code == _UNREACHABLE or callable(code)  # in gRPC's own errors it is a method
            if not away:
                log.warning("Milvus refused a request: %s", error)
            why = "cannot be reached" if away else "refused a request"
            raise Unavailable(f"The Milvus of this index {why}.", retry_after=5) from error


def has_code(error: Exception, *codes: int) -> bool:
    return getattr(error, "code", None) in codes


def is_not_loaded(error: Exception) -> bool:
    """After a restart, the collections of Milvus Lite are only on the disk."""
    return has_code(error, _NOT_LOADED)


def schema_of(pymilvus: Any, dimensions: int) -> Any:
    types = pymilvus.DataType
    schema = pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ROW, types.INT64, is_primary=True)
    schema.add_field(VECTOR, types.FLOAT_VECTOR, dim=dimensions)
    for name in ENTITY[1:]:
        if name in _MAX_BYTES:
            schema.add_field(name, types.VARCHAR, max_length=_MAX_BYTES[name])
        else:
            schema.add_field(name, types.INT64)
    return schema


def to_entity(row: PictureRow, vector: NDArray[np.float32]) -> dict[str, Any]:
    """`path` as it is shown, and the raw bytes of a path that is not UTF-8 beside it: Milvus stores only Unicode."""
    raw = encode_path(row.path)
    is_plain = row.shown_path.encode() == raw
    fields = {name: getattr(row, name) for name in PICTURE if name not in (PATH, RAW_PATH)}
    known = {"taken": row.taken.isoformat() if row.taken else None, "tags": row.tags, "captions": row.captions}
    description = json.dumps(known, ensure_ascii=False)
    if len(description.encode()) > _MAX_BYTES[DESCRIPTION]:
        raise InvalidParameter(
            f"The tags and captions of {row.shown_path} are too long for Milvus: {len(description.encode()):,} bytes, "
            f"where {_MAX_BYTES[DESCRIPTION]:,} are allowed."
        )
    texts = {PATH: row.shown_path, RAW_PATH: "" if is_plain else quote(raw), DESCRIPTION: description}
    return fields | {VECTOR: vector, **texts}


def to_row(entity: dict[str, Any]) -> PictureRow:
    known = json.loads(entity[DESCRIPTION])
    row = PictureRow(
        **{name: entity[name] for name in PICTURE if name != RAW_PATH},
        taken=None if known["taken"] is None else datetime.fromisoformat(known["taken"]),
        tags=tuple(known["tags"]),
        captions=tuple(known["captions"]),
    )
    if entity[RAW_PATH]:
        return replace(row, path=unquote_to_bytes(entity[RAW_PATH]).decode("utf-8", "surrogateescape"))
    return row


def row_filter(allowed: NDArray[np.int64]) -> str:
    """The expression that selects these rows in Milvus: the longest runs as ranges, the others one by one.

    Raises:
        InvalidParameter: it would be too long.
    """
    rows = np.sort(allowed)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
    runs.sort(key=len, reverse=True)
    ranges = [run for run in runs[:_MAX_RANGES] if len(run) >= _MIN_RANGE]
    single = [row for run in runs[len(ranges) :] for row in run.tolist()]
    if len(single) > MAX_IDS:
        raise InvalidParameter(
            f"The filter matches {len(rows):,} pictures, which are too scattered for Milvus; "
            f"narrow it to {MAX_IDS:,} pictures."
        )
    terms = [f"({ROW} >= {run[0]} and {ROW} <= {run[-1]})" for run in ranges]
    if single:
        terms.append(f"{ROW} in [{','.join(map(str, single))}]")
    return " or ".join(terms)
