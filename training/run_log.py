"""What a run says of itself: one JSON object a line."""

import json
import time
from pathlib import Path
from typing import Any


class RunLog:
    """Appends records to a file and remembers when it began."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self.began = time.monotonic()

    def write(self, **record: Any) -> None:
        record["seconds"] = round(time.monotonic() - self.began, 1)
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")
