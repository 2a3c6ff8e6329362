"""Which shards there are to be read, and which of them are done."""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence

from indexer.distributed.parts import PartFolder
from indexer.distributed.stages import STRETCH, ShardTask
from indexer.encode import Encoding, ReadPicture
from indexer.known import KnownVectors
from indexer.scan import FoundFile
from indexer.sources import FileShard, Listing, Shard


def plan(listing: Listing, root: str, known: KnownVectors) -> tuple[list[Shard], Encoding]:
    """All shards that must be read, and what is known without: files by their looks, and what the listing skipped."""
    apart = Encoding(skipped=list(listing.skipped))
    files = [] if listing.files is None else file_shards(_changed(listing.files, root, known, apart), listing.files)
    return [*files, *listing.shards], apart


def _changed(shard: FileShard, root: str, known: KnownVectors, apart: Encoding) -> list[FoundFile]:
    """The files that must be read; those whose content is known by their looks go `apart`."""
    changed = []
    for file in shard.files:
        content = known.unchanged(file, root)
        if content is None:
            changed.append(file)
        else:
            apart.pictures.append(ReadPicture(file, *content))
    return changed


def file_shards(files: Iterable[FoundFile], of: FileShard) -> Iterator[FileShard]:
    """Stretches of files, cut where a path says so: a file more or less changes one shard, and not all after it."""
    taken: list[FoundFile] = []
    for file in files:
        taken.append(file)
        if len(taken) == STRETCH or (zlib.crc32(os.fsencode(file.path)) % STRETCH == 0 and len(taken) >= STRETCH // 4):
            yield FileShard(of.address, tuple(taken), of.reader)
            taken = []
    if taken:
        yield FileShard(of.address, tuple(taken), of.reader)


def open_tasks(shards: Sequence[Shard], folder: PartFolder) -> list[ShardTask]:
    """The shards of which not all parts are there."""
    folder.clear()
    unfinished = [shard for shard in shards if not folder.is_complete(shard.identity)]
    there = folder.found()  # after looking at them, which removes what is damaged
    return [ShardTask(shard, frozenset(there.get(shard.identity, ()))) for shard in unfinished]
