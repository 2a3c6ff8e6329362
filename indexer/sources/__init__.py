"""Where the pictures of a build come from: folders, object stores, tar shards and parquet files."""

from indexer.sources.address import open_source
from indexer.sources.source import (
    FileShard,
    FolderSource,
    FoundFile,
    Item,
    Listing,
    Shard,
    Source,
    files_in,
    require_folder,
    scan,
)

__all__ = [
    "FileShard",
    "FolderSource",
    "FoundFile",
    "Item",
    "Listing",
    "Shard",
    "Source",
    "files_in",
    "open_source",
    "require_folder",
    "scan",
]
