"""Records that survive a crash: JSON objects, one a line, each on the disk before the next step begins."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imagetext.errors import Busy, InvalidParameter


class Journal:
    """A file that only grows."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> list[dict[str, Any]]:
        """All records; a last line that a crash has torn is cut off.

        Raises:
            InvalidParameter: a line is not a JSON object.
        """
        if not self.file.exists():
            return []
        content = self.file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.file, whole)
        return [self._record(number, line) for number, line in enumerate(content[:whole].splitlines(), 1)]

    def _record(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise InvalidParameter(f"Line {number} of {self.file} is not a JSON object.")
        return record

    def append(self, record: dict[str, Any]) -> None:
        """On the disk when this returns."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as out:
            out.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            out.flush()
            os.fsync(out.fileno())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing; the system lets go even of a killed one's hold.

        Raises:
            Busy: another process holds it.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_name(f".{self.file.name}.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy(f"Another process is writing {self.file}; wait for its end.") from error
            yield
