"""Opens the source that --images names."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from imagetext.index.kinds import AUTO
from imagetext.pictures import READABLE_SUFFIXES
from imagetext.wire.errors import InvalidParameter, NotFound, Unavailable
from indexer.arguments import FILES, PARQUET, TAR
from indexer.reports import printable
from indexer.sources.containers import ParquetShard, TarShard
from indexer.sources.source import FolderSource, FoundFile, Shard, Source, require_folder
from indexer.sources.store import ContainerSource, ObjectSource, Store

_SHARDS: dict[str, Callable[[Store, FoundFile], Shard]] = {TAR: TarShard, PARQUET: ParquetShard}
_PATTERN = "*?["


def open_source(address: str, format: str = AUTO) -> Source:
    """A folder, a tar or parquet file, a pattern of them (`shards/*.tar`), or the like in an object store (`s3://...`).

    Args:
        format: what is there; AUTO: tar or parquet if a file's suffix says so, or if a folder has such files and
            neither pictures nor folders beside them; else files.

    Raises:
        NotFound: nothing is there.
        InvalidParameter: the address cannot be read.
        Unavailable: the store does not answer.
    """
    system, path = _locate(address)
    try:
        folder = bool(system.isdir(path))
        paths = [] if folder else _files(system, path)
        guessed = _guess(system, path) if folder and format == AUTO else format
    except PermissionError as error:
        raise _missing(address) from error
    except Exception as error:  # each store raises its own
        raise Unavailable(f"The address {printable(address)} cannot be read.") from error
    if folder:
        return _open_folder(system, path, guessed)
    if not paths:
        raise _missing(address)
    return _open_files(system, path, paths, format)


def _locate(address: str) -> tuple[Any, str]:
    if "://" not in address:
        return LocalFileSystem(), os.path.abspath(address)
    try:
        system, path = fsspec.url_to_fs(address)
    except ImportError as error:
        raise InvalidParameter(f"Reading {printable(address)} needs another package: {error}") from error
    except ValueError as error:
        raise InvalidParameter(f"Not an address that can be read: {printable(address)}") from error
    system.invalidate_cache()  # of earlier listings in this process
    return system, str(path)


def _open_folder(system: Any, path: str, format: str) -> Source:
    store = Store(system, path)
    if format != FILES:
        return ContainerSource(store, None, f".{format}", _SHARDS[format])
    if store.address != store.root:
        return ObjectSource(store)
    require_folder(Path(path))
    return FolderSource(Path(path))


def _open_files(system: Any, path: str, paths: Sequence[str], format: str) -> Source:
    if format == AUTO:
        format = os.path.splitext(paths[0])[1].lower().removeprefix(".")
    if format not in _SHARDS:
        raise InvalidParameter(f"This is neither a folder nor a tar or parquet file: {printable(path)}")
    fixed = path[: min((path.index(mark) for mark in _PATTERN if mark in path), default=len(path))]
    store = Store(system, paths[0].rpartition("/")[0] if paths == [path] else fixed.rpartition("/")[0])
    return ContainerSource(store, [store.relative(each) for each in paths], f".{format}", _SHARDS[format])


def _files(system: Any, path: str) -> list[str]:
    if system.isfile(path):
        return [path]
    if any(mark in path for mark in _PATTERN):
        return [str(found) for found in sorted(system.glob(path)) if system.isfile(found)]
    return []


def _guess(system: Any, folder: str) -> str:
    entries = [entry for entry in system.ls(folder, detail=True) if not _name(entry).startswith(".")]
    suffixes = {os.path.splitext(_name(entry))[1].lower() for entry in entries}
    if any(entry["type"] == "directory" for entry in entries) or suffixes & READABLE_SUFFIXES:
        return FILES
    return next((format for format in _SHARDS if f".{format}" in suffixes), FILES)


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]


def _missing(address: str) -> NotFound:
    return NotFound(f"The folder of pictures is missing or cannot be read: {printable(address)}")
