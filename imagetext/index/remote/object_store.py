"""An index in an object store: the same names as in a folder. `push` uploads a version; CURRENT is replaced last."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from imagetext.files import replacing
from imagetext.index.manifest import MANIFEST, FileSum, Manifest
from imagetext.index.remote.location import StoreAddress
from imagetext.index.versions import CURRENT, VERSIONS, is_version_name, version_folder, version_name
from imagetext.wire.errors import IndexVersionError, Unavailable

CHUNK_BYTES = 8_000_000  # of one request
# Whoever follows the store retries; the default timeouts would block a thread for minutes when the server is gone.
_S3_OPTIONS = {
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 0}},
    "use_listings_cache": False,
    "skip_instance_cache": True,  # a cached instance keeps the environment that it was created with
}
_S3_TRIES = 3  # s3fs's own; botocore's would multiply with them
# These have no folders, and `makedirs` would create a bucket from a misspelt name.
_BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss"}


class ObjectStore:
    """One index at an address for fsspec. Thread-safe; every call may wait for the network.

    All calls raise Unavailable if the store does not answer, or refuses access.
    """

    def __init__(self, address: StoreAddress) -> None:
        """Does not connect yet."""
        self.address = address

    @cached_property
    def _files(self) -> Any:
        from fsspec.core import url_to_fs  # it loads the scheme's packages, which a local index does not need

        url = self.address.url
        is_s3 = url.startswith(("s3:", "s3a:"))
        files = url_to_fs(url, **(_S3_OPTIONS if is_s3 else {}))[0]
        if is_s3:
            files.retries = _S3_TRIES
        return files

    @cached_property
    def _root(self) -> str:
        return str(self._files._strip_protocol(self.address.url)).rstrip("/")

    def current(self) -> str | None:
        """The published version, or None if nothing was published yet.

        Raises:
            IndexVersionError: CURRENT does not hold the name of a version.
        """
        with self._reached():
            try:
                content: bytes = self._files.cat_file(f"{self._root}/{CURRENT}")
            except FileNotFoundError:
                return None
        return version_name(content)

    def versions(self) -> list[str]:
        """The names of all versions, complete or not, oldest first."""
        with self._reached():
            try:
                paths: list[str] = self._files.ls(f"{self._root}/{VERSIONS}", detail=False, refresh=True)
            except FileNotFoundError:
                return []
        return sorted(name for name in (path.rstrip("/").rpartition("/")[2] for path in paths) if is_version_name(name))

    def size(self, version: str, name: str) -> int:
        """The size of an object in bytes. Raises IndexVersionError if it is missing."""
        with self._found(version, name):
            return int(self._files.info(self._path(version, name))["size"])

    def state(self, version: str, name: str) -> str:
        """A tag that changes when the object is written again. Raises IndexVersionError if it is missing."""
        with self._found(version, name):
            return str(self._files.checksum(self._path(version, name)))

    def chunks(self, version: str, name: str) -> Iterator[bytes]:
        """The content of an object, a few megabytes at a time. Raises IndexVersionError if it is missing."""
        with (
            self._found(version, name),
            self._files.open(self._path(version, name), "rb", block_size=CHUNK_BYTES, cache_type="none") as file,
        ):
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def read(self, version: str, name: str) -> bytes:
        """The content of a small object. Raises IndexVersionError if it is missing."""
        with self._found(version, name):
            content: bytes = self._files.cat_file(self._path(version, name))
            return content

    def write(self, file: Path, version: str, name: str) -> None:
        """Upload a file."""
        with self._reached():
            if not _BUCKETS.intersection(_protocols(self._files)):
                self._files.makedirs(f"{self._root}/{VERSIONS}/{version}", exist_ok=True)
            self._files.put_file(str(file), self._path(version, name))

    def publish(self, version: str) -> None:
        """Make a version the current one, by writing one small object."""
        content, path = f"{version}\n".encode("ascii"), f"{self._root}/{CURRENT}"
        with self._reached():
            if "file" not in _protocols(self._files):
                self._files.pipe_file(path, content)
                return
            with replacing(Path(path), sync=True) as new:  # a file that is written in place is empty at first
                new.write_bytes(content)

    def prune(self, keep: int) -> list[str]:
        """Remove all versions but the `keep` newest (at least 1) and the current one; returns the removed names."""
        kept = {*self.versions()[-keep:], self.current()}
        removed = [version for version in self.versions() if version not in kept]
        for version in removed:
            with self._reached():
                self._files.rm(f"{self._root}/{VERSIONS}/{version}", recursive=True)
        return removed

    def _path(self, version: str, name: str) -> str:
        return f"{self._root}/{VERSIONS}/{version}/{name}"

    @contextmanager
    def _found(self, version: str, name: str) -> Iterator[None]:
        with self._reached():
            try:
                yield
            except FileNotFoundError as error:
                raise IndexVersionError(f"{name} of index version {version} is missing in {self.address}.") from error

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (IndexVersionError, Unavailable):
            raise
        except ImportError as error:
            scheme = self.address.url.partition(":")[0]
            extra = 'pip install "imagetext[s3]"' if scheme == "s3" else "see fsspec's documentation"
            raise Unavailable(f"The packages for {scheme}:// are not installed: {extra}") from error
        except Exception as error:  # every store has its own: those of botocore are not OSErrors
            raise Unavailable(f"The index store {self.address} {_why(error)}.", retry_after=5) from error


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return "refuses access; check the credentials"
    if isinstance(error, FileNotFoundError):
        return "does not exist; create the bucket first"
    if isinstance(error, ValueError):
        return "has an invalid address"
    return "cannot be reached"


def push(index: Path, version: str, manifest: Manifest, store: ObjectStore, again: bool = False) -> list[str]:
    """Upload a verified version, the manifest last; returns the names of the uploaded files.

    If the store has the same manifest, files that it has with their sizes are not uploaded again, unless `again`.

    Raises:
        Unavailable: the store does not answer.
    """
    folder = version_folder(index, version)
    known = not again and _has_manifest(store, version, (folder / MANIFEST).read_bytes())
    names = [
        name
        for name, expected in (manifest.files or {}).items()
        if not (known and _has(store, version, name, expected))
    ]
    if not known or names:
        names.append(MANIFEST)
    for name in names:
        store.write(folder / name, version, name)
    return names


def _has_manifest(store: ObjectStore, version: str, manifest: bytes) -> bool:
    try:
        return store.read(version, MANIFEST) == manifest
    except IndexVersionError:
        return False


def _has(store: ObjectStore, version: str, name: str, expected: FileSum) -> bool:
    try:
        return store.size(version, name) == expected.bytes
    except IndexVersionError:
        return False
