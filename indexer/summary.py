"""What a build did, for people and for machines."""

import json
from dataclasses import dataclass

from imagetext.index import SkippedFile
from indexer.wording import printable

_SHOWN = 10


@dataclass(frozen=True)
class Summary:
    """`encoded` counts runs of the model, `reused` the pictures whose vector was there: `size` is not always their sum,
    because equal files are encoded once. `captioned` pictures have a caption; `unmatched` entries of the files of
    captions and metadata name none."""

    changed: bool
    version: str
    size: int
    encoded: int
    reused: int
    skipped: list[SkippedFile]
    seconds: float
    captioned: int = 0
    unmatched: int = 0

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
                "unmatched": self.unmatched,
                "seconds": round(self.seconds, 3),
            }
        )

    def to_text(self) -> str:
        lines = [f"skipped {printable(file.path)}: {file.reason}" for file in self.skipped[:_SHOWN]]
        if len(self.skipped) > _SHOWN:
            lines.append(f"... and {len(self.skipped) - _SHOWN} more, see skipped.jsonl of the version")
        if self.unmatched:
            lines.append(f"{self.unmatched} entries of captions or metadata name no picture of the index.")
        if self.changed:
            lines.append(
                f"Published version {self.version} with {self.size} pictures: {self.encoded} encoded, "
                f"{self.reused} reused, {len(self.skipped)} skipped, in {self.seconds:.1f} seconds."
            )
            if self.captioned:
                lines.append(f"{self.captioned} pictures have captions.")
        else:
            lines.append(f"Nothing has changed since version {self.version} with {self.size} pictures.")
        return "\n".join(lines)
