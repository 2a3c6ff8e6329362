"""The index folder as operators see it: its versions, the switch between them, and the running build.

All of it reads the disk, in threads. `current_index` opens what is searched.
"""

import asyncio
from pathlib import Path

from imagetext.index import list_versions
from imagetext.index.catalogue import current_or_none, describe, skipped_files, switch, version_before
from imagetext.index.rows import encode_path
from imagetext.index.versions import build_status
from imagetext.wire.errors import Busy, CannotPublish, IndexVersionError, NotFound
from imagetext.wire.index import BuildStatus, IndexVersions, Published, SkippedPage, SkippedPath
from services.retrieval.current_index import CurrentIndex


class IndexFolder:
    def __init__(self, folder: Path, index: CurrentIndex) -> None:
        self._folder = folder
        self._index = index
        self._switching = asyncio.Lock()

    async def versions(self) -> IndexVersions:
        """All versions, each with the reason why it cannot be used: files of a wrong size, or another encoder."""
        opened, refusal = self._index.open_version, self._index.refusal
        return await asyncio.to_thread(self._versions, opened, refusal)

    async def skipped(self, version: str, offset: int, limit: int) -> SkippedPage:
        """Raises NotFound, or IndexVersionError if the list is damaged."""
        files = await asyncio.to_thread(skipped_files, self._folder, version)
        page = [
            SkippedPath(path=encode_path(file.path).decode("utf-8", "replace"), reason=file.reason)
            for file in files[offset : offset + limit]
        ]
        return SkippedPage(version=version, total=len(files), offset=offset, skipped=page)

    async def build(self) -> BuildStatus:
        return await asyncio.to_thread(build_status, self._folder)

    async def publish(self, version: str) -> Published:
        """Make a version the current one; every replica opens it at its next poll.

        Raises:
            NotFound: there is no such version.
            CannotPublish: it is damaged or of another encoder, or the folder cannot be written.
            Busy: another version is being published.
        """
        if self._switching.locked():  # it reads the whole version
            raise Busy("Another version is being published.", retry_after=5)
        async with self._switching:
            before = await asyncio.to_thread(switch, self._folder, version, self._index.fingerprint)
        return Published(version=version, before=before)

    async def roll_back(self) -> Published:
        """As `publish`, for the newest version before the current one."""
        try:
            version = await asyncio.to_thread(version_before, self._folder)
        except IndexVersionError as error:
            raise CannotPublish(f"{error.detail} Publish a version by name instead.") from error
        if version is None:
            raise NotFound("There is no version before the current one.")
        return await self.publish(version)

    def _versions(self, opened: str | None, refusal: str | None) -> IndexVersions:
        """In a thread."""
        current = current_or_none(self._folder)
        described = [
            describe(self._folder, name, current=name == current, fingerprint=self._index.fingerprint)
            for name in reversed(list_versions(self._folder))
        ]
        return IndexVersions(
            current=current,
            previous=None if current is None else version_before(self._folder),
            open=opened,
            refusal=refusal,
            versions=described,
        )
