"""Sources of large files with many pictures in each: one such file is one shard."""

from collections.abc import Callable, Sequence

from imagetext.errors import ImageTextError
from imagetext.index import SkippedFile
from imagetext.index.rows import encode_path
from indexer.scan import FoundFile
from indexer.sources.source import Listing, Shard
from indexer.sources.store import Store


class ContainerSource:
    """`paths` below the root of the store; None: all that end with `suffix`."""

    def __init__(
        self, store: Store, paths: Sequence[str] | None, suffix: str, shard: Callable[[Store, FoundFile], Shard]
    ) -> None:
        self._store = store
        self._paths = paths
        self._suffix = suffix
        self._shard = shard
        self.address = store.address

    def list(self) -> Listing:
        listing = Listing()
        files = []
        if self._paths is None:
            files = [file for file in self._store.find() if file.path.lower().endswith(self._suffix)]
        for path in self._paths or ():
            try:
                files.append(self._store.look(path))
            except ImageTextError as error:
                listing.skipped.append(SkippedFile(path, error.detail))
        files.sort(key=lambda file: encode_path(file.path))
        listing.shards = [self._shard(self._store, file) for file in files]
        return listing
