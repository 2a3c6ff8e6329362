"""Which source of versions the settings name."""

from pathlib import Path

from imagetext.errors import InvalidParameter
from imagetext.index.object_store import ObjectStore
from imagetext.index.places import StoreAddress
from services.retrieval.settings import Settings
from services.retrieval.store_source import StoreSource
from services.retrieval.version_source import FolderSource, VersionSource


def source_of(settings: Settings) -> VersionSource:
    """Opens and reaches nothing yet."""
    match settings.index:
        case Path():
            return FolderSource(settings.index)
        case StoreAddress():
            return StoreSource(ObjectStore(settings.index), settings.index_cache, settings.index_keep)
        case _:
            raise InvalidParameter("Milvus is not searched yet.")
