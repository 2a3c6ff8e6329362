"""Pictures that lie one by one in an object store, or in any other file system that fsspec knows."""

from imagetext.index.rows import encode_path
from indexer.scan import FoundFile
from indexer.sources.source import FileShard, Listing
from indexer.sources.store import Store, is_picture


class ObjectSource:
    """All pictures below an address, by their suffixes; each is one request."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.address = store.address

    def list(self) -> Listing:
        files = sorted((file for file in self._store.find() if is_picture(file.path)), key=_order)
        return Listing(FileShard(self.address, tuple(files), self._store.read))


def _order(file: FoundFile) -> bytes:
    return encode_path(file.path)
