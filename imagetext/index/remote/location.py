"""Where an index may be: a folder, an object store, or Milvus."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from imagetext.wire.errors import InvalidParameter

MILVUS_INDEXES = ("FLAT", "IVF_FLAT", "HNSW", "AUTOINDEX")  # the types of index to ask Milvus for; FLAT is exact

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_MILVUS = "milvus+"
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")  # Milvus allows 255, and the name of a version is appended


@dataclass(frozen=True)
class StoreAddress:
    """An address as fsspec takes it: s3://bucket/prefix."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class MilvusAddress:
    """`uri` as pymilvus takes it, a server's address or the path of a Milvus Lite file; `alias` names the published
    collection."""

    uri: str
    alias: str

    def __str__(self) -> str:
        return f"milvus+{self.uri if '://' in self.uri else 'file:' + self.uri}/{self.alias}"


Location = Path | StoreAddress | MilvusAddress


def parse_location(text: str) -> Location:
    """The path of a folder, `SCHEME://…` for fsspec, `milvus+http://HOST:PORT/COLLECTION` or
    `milvus+file:FILE.db/COLLECTION`.

    Raises:
        InvalidParameter: it is none of these.
    """
    if text.lower().startswith(_MILVUS):
        return _parse_milvus(text[len(_MILVUS) :])
    if "://" not in text or not _SCHEME.match(text):
        return Path(text)
    _refuse_secrets(text)
    return StoreAddress(text.rstrip("/"))


def folder_name(location: Location) -> str:
    """A name for a folder that belongs to this location alone."""
    address = str(location)
    shown = re.sub(r"[^A-Za-z0-9.]+", "_", address).strip("_.")[:80]
    return f"{shown}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def _parse_milvus(address: str) -> MilvusAddress:
    uri, _, alias = address.rpartition("/")
    path = uri.removeprefix("file:")
    if path != uri and not path.endswith(".db"):
        raise InvalidParameter("A Milvus Lite file must end in .db: milvus+file:data/milvus.db/COLLECTION")
    if path == uri and not re.fullmatch(r"https?://[^/]+", uri, re.IGNORECASE):
        raise InvalidParameter(
            "The address of a Milvus must be milvus+http://HOST:PORT/COLLECTION or milvus+file:FILE.db/COLLECTION"
        )
    if not _ALIAS.fullmatch(alias):
        raise InvalidParameter(
            "The name of a Milvus collection must have 1 to 100 letters, digits and underscores, and no digit first."
        )
    if path == uri:
        _refuse_secrets(uri)
    return MilvusAddress(path, alias)


def _refuse_secrets(url: str) -> None:
    """Addresses appear in logs and replies."""
    if "@" in urlsplit(url).netloc:
        raise InvalidParameter(
            "The address of an index must not contain a password; the documentation names the settings for it."
        )
