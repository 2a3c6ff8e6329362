"""An open version with the changes since, kept open as long as anybody uses it."""

from dataclasses import dataclass
from pathlib import Path

from imagetext.index import Collection, IndexReader
from imagetext.index.journal import JournalReader
from imagetext.index.open_version import OpenVersion


@dataclass
class HeldVersion:
    """A version with the count of its users; but for `read_on`, all of this runs on the event loop."""

    reader: OpenVersion
    journal: JournalReader | None  # None: nothing changes it
    collection: OpenVersion
    users: int = 0
    retired: bool = False

    def release(self) -> None:
        self.users -= 1
        self._close_if_unused()

    @classmethod
    def of(cls, reader: OpenVersion, folder: Path | None) -> "HeldVersion":
        """In a thread; with all changes until now, where it lies in an index folder."""
        if folder is None or not isinstance(reader, IndexReader):
            return cls(reader, None, reader)
        journal = JournalReader(folder, reader.merged)
        return cls(reader, journal, Collection.of(reader).changed(journal.read()))

    def has_news(self) -> bool:
        """Whether anything changed since the last look."""
        return self.journal is not None and self.journal.has_news()

    def read_on(self) -> OpenVersion:
        """In a thread."""
        if self.journal is None or not isinstance(self.collection, Collection):
            return self.collection
        return self.collection.changed(self.journal.read())

    def retire(self) -> None:
        self.retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self.retired and self.users == 0:
            self.reader.close()
