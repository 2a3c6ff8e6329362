"""Which source of versions the settings name."""

from pathlib import Path

from imagetext.index.milvus_connection import MilvusConnection
from imagetext.index.milvus_store import MilvusStore
from imagetext.index.object_store import ObjectStore
from imagetext.index.places import MilvusAddress, StoreAddress, folder_name
from services.retrieval.milvus_source import MilvusSource
from services.retrieval.settings import Settings
from services.retrieval.store_source import StoreSource
from services.retrieval.version_source import FolderSource, VersionSource


def source_of(settings: Settings) -> VersionSource:
    """Opens and reaches nothing yet."""
    match settings.index:
        case Path():
            return FolderSource(settings.index)
        case StoreAddress():
            cache = settings.index_cache / folder_name(settings.index)  # or it would start with another index's copy
            return StoreSource(ObjectStore(settings.index), cache, settings.index_keep)
        case MilvusAddress():
            token = settings.milvus_token.get_secret_value()
            return MilvusSource(MilvusStore(MilvusConnection(settings.index, token)))
