"""The log of a run: JSON lines, and the numbers of its epochs as TensorBoard reads them."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class EventFile:
    """A file in a folder that TensorBoard shows as one run. A resumed run starts another file, which replaces earlier
    ones from the epoch `first` on."""

    def __init__(self, folder: Path, first: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        self._file = EventsWriter(str(folder / "events"), f".{first}")
        self._file.write_event(Event(step=first, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, wall_time: float, numbers: Mapping[str, Any]) -> None:
        """The numbers of one epoch; `wall_time` in seconds since 1970."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=number) for tag, number in tagged(numbers)]
        self._file.write_event(Event(wall_time=wall_time, step=step, summary=Summary(value=values)))
        self._file.flush()


def tagged(numbers: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, float]]:
    """All numbers with their tags, "outer/inner" in nested mappings; other values are left out."""
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            yield from tagged(value, f"{within}{name}/")
        elif isinstance(value, int | float):
            yield within + name, value


class RunLog:
    """Appends records to a file, with the seconds since the start.

    The numbers of a record with an `epoch` also go to an event file in a folder named after its `phase`.
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
