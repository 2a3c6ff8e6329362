"""Large files with many pictures in each: tar shards and parquet files. One file is one shard.

Tar files have the layout of webdataset: the files of a sample follow one another and share a key.

    000017.jpg   000017.txt   000017.json        a picture, its caption, or an object with `caption`

A row's path is that of the tar file, a slash and the member's name. Parquet files have the pictures in a column: bytes,
or bytes and path as the package datasets writes them; a row's path is that of the file, a slash and the row's number in
it, from 0, in eight digits.
"""

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from imagetext.index import SkippedFile
from imagetext.pictures import check_bytes
from imagetext.wire.errors import InvalidParameter, NotFound, TooLarge
from indexer.sources.source import CAPTION_COLUMNS, FoundFile, Item, captions_in, identity_of
from indexer.sources.store import Store, is_picture

PICTURE_COLUMNS = ("image", "img", "picture", "jpg", "image_bytes", "image_data", "bytes", "content")

_CAPTION_BYTES = 1_000_000
_ROWS = 16  # of a parquet file, decompressed at once
_DAMAGED = "The tar file is damaged; what follows in it is left out."


@dataclass
class _Sample:
    key: str
    pictures: list[Item | SkippedFile] = field(default_factory=list)
    captions: tuple[str, ...] = ()

    def finished(self) -> Iterator[Item | SkippedFile]:
        for picture in self.pictures:
            if isinstance(picture, Item):
                yield Item(picture.file, picture.read, self.captions, picture.held)
            else:
                yield picture


@dataclass(frozen=True)
class TarShard:
    """One uncompressed tar file, read once from the front; pictures that are not wanted are skipped unread."""

    store: Store
    file: FoundFile

    @property
    def identity(self) -> str:
        return identity_of(self.store.address, [self.file])

    def items(self, wanted: Callable[[FoundFile], bool]) -> Iterator[Item | SkippedFile]:
        try:
            with self.store.open(self.file.path) as opened, tarfile.open(fileobj=opened, mode="r:") as archive:
                yield from self._samples(archive, wanted)
                if not _ends_well(opened, archive.offset):
                    yield SkippedFile(self.file.path, _DAMAGED)
        except tarfile.TarError:
            yield SkippedFile(self.file.path, _DAMAGED)
        except NotFound as error:
            yield SkippedFile(self.file.path, error.detail)

    def _samples(self, archive: tarfile.TarFile, wanted: Callable[[FoundFile], bool]) -> Iterator[Item | SkippedFile]:
        sample, seen = _Sample(""), set()
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every header
            if not member.isreg():
                continue
            key, suffix = _split(member.name)
            if key != sample.key:
                yield from sample.finished()
                sample = _Sample(key)
            if is_picture(member.name):
                sample.pictures.append(self._picture(archive, member, wanted, member.name in seen))
                seen.add(member.name)
            elif suffix in ("txt", "caption", "json") and member.size <= _CAPTION_BYTES:
                sample.captions += _captions(_content(archive, member), suffix)
        yield from sample.finished()

    def _picture(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, wanted: Callable[[FoundFile], bool], again: bool
    ) -> Item | SkippedFile:
        # The tar file's time, because members often have all the same one, which stays when the content changes.
        found = FoundFile(f"{self.file.path}/{member.name}", member.size, self.file.mtime_ns)
        if again:
            return SkippedFile(found.path, "The tar file has a picture of the same name before it.")
        try:
            check_bytes(member.size)
        except TooLarge as error:
            return SkippedFile(found.path, error.detail)
        if not wanted(found):
            return Item(found, None)
        content = _content(archive, member)
        return Item(found, lambda: content, held=len(content))


@dataclass(frozen=True)
class ParquetShard:
    """One parquet file, read page by page; pictures that are not wanted are read too."""

    store: Store
    file: FoundFile

    @property
    def identity(self) -> str:
        return identity_of(self.store.address, [self.file])

    def items(self, wanted: Callable[[FoundFile], bool]) -> Iterator[Item | SkippedFile]:
        pa, pq = _pyarrow()
        try:
            with self.store.open(self.file.path) as opened, pq.ParquetFile(opened, pre_buffer=False) as table:
                pictures, captions = _columns(table.schema_arrow)
                if pictures is None:
                    yield SkippedFile(self.file.path, f"It has no column of pictures ({', '.join(PICTURE_COLUMNS)}).")
                    return
                number = 0
                for batch in table.iter_batches(_ROWS, columns=[pictures, *captions]):
                    for row in batch.to_pylist():
                        yield self._item(number, row, pictures, wanted)
                        number += 1
        except (pa.ArrowException, EOFError):
            yield SkippedFile(self.file.path, "The parquet file is damaged; what follows in it is left out.")
        except NotFound as error:
            yield SkippedFile(self.file.path, error.detail)

    def _item(
        self, number: int, row: dict[str, Any], column: str, wanted: Callable[[FoundFile], bool]
    ) -> Item | SkippedFile:
        path = f"{self.file.path}/{number:08}"
        content = row.pop(column)
        if isinstance(content, dict):
            content = content.get("bytes")
        if not isinstance(content, bytes):
            return SkippedFile(path, "The row has no picture in it.")
        found = FoundFile(path, len(content), self.file.mtime_ns)
        if not wanted(found):
            return Item(found, None, captions_in(row))
        return Item(found, lambda: content, captions_in(row), len(content))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = archive.extractfile(member)
    return opened.read() if opened is not None else b""


def _split(name: str) -> tuple[str, str]:
    """a/000017.seg.jpg -> the key a/000017 and the suffix seg.jpg, as webdataset splits."""
    folder, slash, last = name.rpartition("/")
    stem, _, suffix = last.partition(".")
    return f"{folder}{slash}{stem}", suffix.lower()


def _captions(content: bytes, suffix: str) -> tuple[str, ...]:
    text = content.decode("utf-8", "replace")
    if suffix != "json":
        return captions_in(text)
    try:
        return captions_in(json.loads(text))
    except (ValueError, RecursionError):  # the caption is lost, not the picture
        return ()


def _ends_well(opened: Any, offset: int) -> bool:
    """Whether the archive ends properly: tarfile takes any later header that it cannot read for the end."""
    opened.seek(offset)
    return not any(opened.read(tarfile.BLOCKSIZE))


def _columns(schema: Any) -> tuple[str | None, list[str]]:
    """The column of pictures, and those of captions."""
    pictures = next(
        (name for name in PICTURE_COLUMNS if name in schema.names and _has_bytes(schema.field(name).type)), None
    )
    return pictures, [name for name in CAPTION_COLUMNS if name in schema.names and name != pictures]


def _has_bytes(kind: Any) -> bool:
    pa, _ = _pyarrow()
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _has_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InvalidParameter("Reading parquet files needs the package pyarrow: pip install pyarrow") from error
    return pyarrow, pyarrow.parquet
