"""What commands say: how numbers and file names are shown, and the summary of a build."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetext.index import SkippedFile
from imagetext.wire.errors import ImageTextError

if TYPE_CHECKING:
    from imagetext.models.captioner.engine import Captioner
    from imagetext.models.encoder.engine import Encoder

_SHOWN = 10  # skipped files


@dataclass(frozen=True)
class Context:
    """What every command is given beside its options. `fail` says an error and returns the exit status 1."""

    say: Callable[[str], None]
    fail: Callable[[str], int]
    load_encoder: Callable[[str], "Encoder"]
    load_captioner: Callable[[str], "Captioner"]


@dataclass(frozen=True)
class Summary:
    """What a build or an import did.

    `encoded` counts pictures that the model encoded, `reused` those whose vector was known; `size` may be larger than
    both together, because equal files are encoded once. `captioned` pictures have captions, `labelled` ones tags from
    labels. `unmatched` entries of the files of captions and metadata belong to no picture.
    """

    changed: bool
    version: str
    size: int
    encoded: int
    reused: int
    skipped: list[SkippedFile]
    seconds: float
    captioned: int = 0
    unmatched: int = 0
    labelled: int = 0

    def to_json(self) -> str:
        """One line; undecodable bytes in paths are lone surrogates in JSON's own escapes."""
        return json.dumps(
            {
                "changed": self.changed,
                "version": self.version,
                "size": self.size,
                "encoded": self.encoded,
                "reused": self.reused,
                "skipped": len(self.skipped),
                "skipped_files": [{"path": file.path, "reason": file.reason} for file in self.skipped],
                "captioned": self.captioned,
                "labelled": self.labelled,
                "unmatched": self.unmatched,
                "seconds": round(self.seconds, 3),
            }
        )

    def to_text(self) -> str:
        lines = [f"skipped {printable(file.path)}: {file.reason}" for file in self.skipped[:_SHOWN]]
        if len(self.skipped) > _SHOWN:
            lines.append(f"... and {len(self.skipped) - _SHOWN} more, see skipped.jsonl of the version")
        if self.unmatched:
            lines.append(f"{self.unmatched} entries of captions or metadata belong to no picture of the index.")
        if self.changed:
            lines.append(
                f"Published version {self.version} with {self.size} pictures: {self.encoded} encoded, "
                f"{self.reused} reused, {len(self.skipped)} skipped, in {self.seconds:.1f} seconds."
            )
            if self.captioned:
                lines.append(f"{self.captioned} pictures have captions.")
            if self.labelled:
                lines.append(f"{self.labelled} pictures have tags from labels.")
        else:
            lines.append(f"Nothing has changed since version {self.version} with {self.size} pictures.")
        return "\n".join(lines)


def error_sentence(error: ImageTextError | OSError | sqlite3.Error) -> str:
    """An error in one sentence for the user."""
    if isinstance(error, ImageTextError):
        return error.detail
    if isinstance(error, OSError):
        return f"{error.strerror or 'Reading or writing failed'}: {error.filename or 'the index'}"
    return "The index's work file cannot be used. If the disk is not full, delete the folder work in the index."


def printable(text: str) -> str:
    """`text` with control characters, line breaks and undecodable bytes escaped, which could upset a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown_bytes(number: float) -> str:
    """With three digits and a decimal unit: 524 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"
