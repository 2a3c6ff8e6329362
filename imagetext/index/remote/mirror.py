"""Copies of an object store's versions in a local index folder: fetched aside, verified byte by byte, then named."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from imagetext.files import fsync, fsync_all, locked, remove_folder
from imagetext.index.manifest import MANIFEST, FileSum, Manifest, read_manifest, sum_file
from imagetext.index.remote.object_store import ObjectStore
from imagetext.index.versions import VERSIONS, list_versions, prune_versions, publish, remove_leftovers, version_folder
from imagetext.wire.errors import IndexVersionError, Unavailable

FETCHING = ".fetching"
_LOCK = ".lock"


class Mirror:
    """Fetches versions into an index folder, which several processes may share: one changes it, the others wait.

    An interrupted fetch resumes with the files that are already whole. An object that was found to be damaged is not
    fetched again until it is written again.
    """

    def __init__(self, store: ObjectStore, index: Path) -> None:
        self.store = store
        self.index = index
        self._lock = index / _LOCK
        self._stopped = False
        # (version, name) -> state in the store, what is wrong
        self._damaged: dict[tuple[str, str], tuple[str, str]] = {}

    def stop(self) -> None:
        """End a fetch that runs in another thread."""
        self._stopped = True

    def fetch(self, version: str, accept: Callable[[Manifest], object] = lambda manifest: None) -> Path:
        """The folder of a version, fetched unless it is already there.

        Args:
            accept: called with the manifest before anything else is fetched; raises to refuse it.

        Raises:
            IndexVersionError: a file is missing, truncated or changed, or there is no room for it.
            Unavailable: the store does not answer.
        """
        (self.index / VERSIONS).mkdir(parents=True, exist_ok=True)
        with locked(self._lock):
            remove_leftovers(self.index)
            folder = version_folder(self.index, version)
            if version not in list_versions(self.index):
                aside = self._aside(version)
                self._fetch(version, aside, accept)
                shutil.rmtree(folder, ignore_errors=True)  # the rest of a version without a manifest
                os.rename(aside, folder)
                fsync(self.index / VERSIONS)
            return folder

    def discard(self, version: str) -> None:
        """Remove a damaged local copy."""
        with locked(self._lock):
            remove_folder(version_folder(self.index, version))

    def publish(self, version: str, keep: int) -> None:
        """Make a local copy the one that is opened first after a start, and remove all but the `keep` newest."""
        with locked(self._lock):
            publish(self.index, version)
            prune_versions(self.index, keep)

    def _aside(self, version: str) -> Path:
        """An empty folder, or what an interrupted fetch of this version left."""
        for other in (self.index / FETCHING).glob("*"):
            if other.name != version:
                shutil.rmtree(other)
        aside = self.index / FETCHING / version
        aside.mkdir(parents=True, exist_ok=True)
        return aside

    def _fetch(self, version: str, aside: Path, accept: Callable[[Manifest], object]) -> None:
        (aside / MANIFEST).write_bytes(self.store.read(version, MANIFEST))
        manifest = read_manifest(aside)
        if manifest.version != version:
            raise IndexVersionError(f"The folder of index version {version} holds version {manifest.version}.")
        accept(manifest)
        files = manifest.files or {}
        for name, expected in files.items():
            self._require_size(version, name, expected)
        missing = {name: expected for name, expected in files.items() if not _is_whole(aside / name, expected)}
        self._require_room(version, sum(expected.bytes for expected in missing.values()))
        for name, expected in missing.items():
            self._fetch_file(aside / name, version, expected)
        fsync_all(aside)

    def _require_size(self, version: str, name: str, expected: FileSum) -> None:
        found = self.store.size(version, name)
        if found != expected.bytes:
            raise IndexVersionError(
                f"{name} of index version {version} is damaged in {self.store.address}: it has {found:,} bytes, "
                f"the manifest says {expected.bytes:,}."
            )

    def _require_room(self, version: str, bytes: int) -> None:
        free = shutil.disk_usage(self.index).free
        if bytes > free:
            raise IndexVersionError(f"Index version {version} needs {bytes:,} bytes of disk space; {free:,} are free.")

    def _fetch_file(self, path: Path, version: str, expected: FileSum) -> None:
        key, state = (version, path.name), self.store.state(version, path.name)
        known_state, detail = self._damaged.get(key, ("", ""))
        if state == known_state:
            raise IndexVersionError(detail)
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            for chunk in self.store.chunks(version, path.name):
                if self._stopped:
                    raise Unavailable("Copying the index version was stopped.")
                digest.update(chunk)
                size += file.write(chunk)
        if FileSum(size, digest.hexdigest()) != expected:
            detail = f"{path.name} of index version {version} is damaged in {self.store.address}: its checksum differs."
            self._damaged[key] = state, detail
            raise IndexVersionError(detail)


def _is_whole(path: Path, expected: FileSum) -> bool:
    return path.exists() and path.stat().st_size == expected.bytes and sum_file(path) == expected
