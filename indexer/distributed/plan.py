"""Which shards there are to be read, and which of them are done."""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence

from indexer.distributed.parts import PartFolder
from indexer.distributed.stages import STRETCH, ShardTask
from indexer.scan import FoundFile
from indexer.sources import FileShard, Listing, Shard


def plan(listing: Listing) -> list[Shard]:
    """All that is to be read, in shards."""
    files = [] if listing.files is None else file_shards(listing.files.files, listing.files)
    return [*files, *listing.shards]


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
