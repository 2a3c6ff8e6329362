"""Where the pictures of a build come from: folders, object stores, tar shards and parquet files."""

from indexer.sources.address import open_source
from indexer.sources.source import FileShard, FolderSource, Item, Listing, Shard, Source, files_in

__all__ = [
    "FileShard",
    "FolderSource",
    "Item",
    "Listing",
    "Shard",
    "Source",
    "files_in",
    "open_source",
]
