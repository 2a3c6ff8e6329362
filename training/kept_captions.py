"""The captions of an evaluation that was interrupted."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path


class KeptCaptions:
    """Captions in a file of JSON lines, there until the evaluation is done, so that changed code never meets old ones.

    Args:
        folder: where the file lies.
        identity: whatever the captions depend on, besides code.
    """

    def __init__(self, folder: Path, identity: Sequence[object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
        self.file = folder / f"captions-{key}.jsonl"
        self.captions: list[str] = []
        if self.file.exists():
            lines = self.file.read_text(encoding="utf-8").splitlines(keepends=True)
            self.captions = [json.loads(line) for line in lines if line.endswith("\n")]
            self._rewrite()  # without a last line that was cut off

    def _rewrite(self) -> None:
        unfinished = self.file.with_suffix(".unfinished")
        unfinished.write_text("".join(json.dumps(caption) + "\n" for caption in self.captions), encoding="utf-8")
        os.replace(unfinished, self.file)

    def add(self, captions: Sequence[str]) -> None:
        self.captions += captions
        with self.file.open("a", encoding="utf-8") as out:
            out.write("".join(json.dumps(caption) + "\n" for caption in captions))

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)
