"""Where an index may be: a folder, an object store, or a Milvus."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from imagetext.wire.errors import InvalidParameter

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_MILVUS = "milvus+"
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")  # Milvus allows 255; a version's name comes behind it


@dataclass(frozen=True)
class StoreAddress:
    """An address as fsspec takes it: s3://bucket/prefix."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class MilvusAddress:
    """`uri` as pymilvus takes it, a server's address or the path of a Milvus Lite file; `alias` names the collection
    that is published."""

    uri: str
    alias: str

    def __str__(self) -> str:
        return f"milvus+{self.uri if '://' in self.uri else 'file:' + self.uri}/{self.alias}"


Place = Path | StoreAddress | MilvusAddress
MILVUS_INDEXES = ("FLAT", "IVF_FLAT", "HNSW", "AUTOINDEX")  # what Milvus may search with; the first is exact


def place_of(text: str) -> Place:
    """A path of a folder, `SCHEME://…` for fsspec, `milvus+http://HOST:PORT/COLLECTION` or
    `milvus+file:FILE.db/COLLECTION`.

    Raises:
        InvalidParameter: it is none of these.
    """
    if text.lower().startswith(_MILVUS):
        return _milvus(text[len(_MILVUS) :])
    if "://" not in text or not _SCHEME.match(text):
        return Path(text)
    _refuse_secrets(text)
    return StoreAddress(text.rstrip("/"))


def folder_name(place: Place) -> str:
    """A name for a folder that belongs to one place alone."""
    address = str(place)
    shown = re.sub(r"[^A-Za-z0-9.]+", "_", address).strip("_.")[:80]
    return f"{shown}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def _milvus(address: str) -> MilvusAddress:
    uri, _, alias = address.rpartition("/")
    path = uri.removeprefix("file:")
    if path != uri and not path.endswith(".db"):
        raise InvalidParameter("A Milvus Lite file must end in .db: milvus+file:data/milvus.db/COLLECTION")
    if path == uri and not re.fullmatch(r"https?://[^/]+", uri, re.IGNORECASE):
        raise InvalidParameter(
            "A Milvus is named as milvus+http://HOST:PORT/COLLECTION or milvus+file:FILE.db/COLLECTION"
        )
    if not _ALIAS.fullmatch(alias):
        raise InvalidParameter("A collection's name has up to 100 letters, digits and underscores, and no digit first.")
    if path == uri:
        _refuse_secrets(uri)
    return MilvusAddress(path, alias)


def _refuse_secrets(url: str) -> None:
    """An address is shown in logs and replies."""
    if "@" in urlsplit(url).netloc:
        raise InvalidParameter("The address of an index must hold no password; the documentation names the settings.")
