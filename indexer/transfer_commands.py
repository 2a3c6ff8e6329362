"""The commands push and pull: versions are copied to a store and back."""

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from imagetext.index import current_version, list_versions, publish, verify, version_folder
from imagetext.index.manifest import ROWS, VECTORS, Manifest
from imagetext.index.remote.location import Location, MilvusAddress, StoreAddress
from imagetext.index.remote.milvus_reader import FLAT
from imagetext.index.remote.milvus_rows import MilvusConnection
from imagetext.index.remote.milvus_store import MilvusStore, load
from imagetext.index.remote.mirror import Mirror
from imagetext.index.remote.object_store import ObjectStore, push
from imagetext.wire.errors import NotFound
from indexer.reports import Context

MILVUS_TOKEN = "MILVUS_TOKEN"  # environment variable; an API key or USER:PASSWORD


def push_to(options: argparse.Namespace, context: Context) -> int:
    version = options.version or current_version(options.index)
    if version is None or version not in list_versions(options.index):
        raise NotFound(
            f"The index has no such version; `python -m indexer versions --index {options.index}` lists them."
        )
    done = push_version(
        options.index,
        version,
        options.to,
        again=options.again,
        keep=options.keep,
        index_type=options.milvus_index,
    )
    if options.json:
        context.say(json.dumps(asdict(done)))
    else:
        context.say(
            f"Published version {version} in {done.to}; {len(done.sent)} files sent, {len(done.removed)} removed."
        )
    return 0


@dataclass(frozen=True)
class Pushed:
    """`sent`: names of the files that were missing there; `removed`: versions that were removed there."""

    version: str
    to: str
    sent: list[str]
    removed: list[str]


def push_version(
    index: Path, version: str, to: Location, *, again: bool = False, keep: int | None = None, index_type: str = FLAT
) -> Pushed:
    """Verify a version, send it, publish it there, and keep `keep` versions there, or all.

    Args:
        again: send files even if the store seems to have them.
        index_type: Milvus's kind of index.

    Raises:
        IndexVersionError: it is damaged here, or was changed on its way.
        Unavailable: the store does not answer.
    """
    manifest = verify(version_folder(index, version))
    if isinstance(to, MilvusAddress):
        milvus = MilvusStore(MilvusConnection(to, os.environ.get(MILVUS_TOKEN, "")))
        sent = _load(milvus, version_folder(index, version), manifest, again, index_type)
        milvus.publish(version)
        return Pushed(version, str(to), sent, milvus.prune(keep) if keep else [])
    store = _store(to)
    sent = push(index, version, manifest, store, again)
    store.publish(version)
    return Pushed(version, str(to), sent, store.prune(keep) if keep else [])


def _load(milvus: MilvusStore, folder: Path, manifest: Manifest, again: bool, index_type: str) -> list[str]:
    if not again and milvus.has(manifest.version):
        return []
    with tqdm(total=manifest.size, unit="picture", disable=None) as bar:
        load(milvus, folder, index_type, bar.update)
    return [VECTORS, ROWS]


def pull_from(options: argparse.Namespace, context: Context) -> int:
    version = pull_version(_store(options.source), options.index, options.version)
    if options.json:
        context.say(json.dumps({"version": version, "from": str(options.source)}))
    else:
        context.say(f"Published version {version} in {options.index}.")
    return 0


def pull_version(store: ObjectStore, index: Path, version: str | None = None) -> str:
    """Copy a version, the current one of the store by default, and publish it in a local index.

    Raises:
        NotFound: the store has no version.
        IndexVersionError: it is damaged there.
        Unavailable: the store does not answer.
    """
    version = version or store.current()
    if version is None:
        raise NotFound(f"There is no index in {store.address} yet.")
    Mirror(store, index).fetch(version)
    publish(index, version)
    return version


def _store(place: Location) -> ObjectStore:
    if isinstance(place, StoreAddress):
        return ObjectStore(place)
    raise NotFound(f"{place} is not an object store such as s3://bucket/prefix.")
