"""Tar shards in the layout of webdataset: pictures with their captions beside them under the same key.

    000017.jpg   000017.txt   000017.json        one sample: a picture, its caption, or an object with `caption`

Members of a sample follow one another. A row's path is that of the tar file, a slash and the member's name.
"""

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from imagetext.index import SkippedFile
from imagetext.pictures import check_bytes
from imagetext.wire.errors import NotFound, TooLarge
from indexer.scan import FoundFile
from indexer.sources.source import Item, captions_in, identity_of
from indexer.sources.store import Store, is_picture

_CAPTION_BYTES = 1_000_000
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
    """One tar file, uncompressed. It is read once, from the front; what is not wanted is passed over."""

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
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every header that it has seen
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
        # The tar file's time, not the member's: that is often the same for all, and stays when the content changes.
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
    """tarfile takes a header that it cannot read for the end, unless it is the first."""
    opened.seek(offset)
    return not any(opened.read(tarfile.BLOCKSIZE))
