"""What a run says of itself: one JSON object a line, and its passes as TensorBoard reads them."""

import json
import time
from pathlib import Path
from typing import Any

from training.event_file import EventFile


class RunLog:
    """Appends records to a file and remembers when it began.

    The numbers of a record with an `epoch` also go to an event file, in the folder of its `phase` beside the file.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self.began = time.monotonic()
        self.events: dict[str, EventFile] = {}

    def write(self, **record: Any) -> None:
        record["seconds"] = round(time.monotonic() - self.began, 1)
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")
        if "epoch" in record:
            self._write_events(**record)

    def _write_events(self, epoch: int, phase: str = "", **numbers: Any) -> None:
        if phase not in self.events:
            self.events[phase] = EventFile(self.file.parent / phase, epoch)
        self.events[phase].write(epoch, time.time(), numbers)
