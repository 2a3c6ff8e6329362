"""What a list of addresses came to, and why the rest was lost."""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.data.assembly import Assembly
from training.data.record import SPLITS

_HOSTS = 10


@dataclass(frozen=True)
class Report:
    """`rows` are the list's lines with a caption and an address, `bad_lines` the others."""

    rows: int
    bad_lines: int
    assembly: Assembly
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        records, lost = self.assembly.records, self.assembly.lost
        splits = Counter(record.split for record in records)
        return {
            "rows": self.rows,
            "bad_lines": self.bad_lines,
            "not_asked": self.assembly.not_asked,
            "pictures": len(records),
            "captions": sum(len(record.captions) for record in records),
            "splits": {split: splits[split] for split in SPLITS},
            "fetched_bytes": self.assembly.bytes,
            "lost": {reason.label: rows for reason, rows in lost.most_common()},
            "lost_by_host": dict(self.assembly.lost_hosts.most_common(_HOSTS)),
            "may_succeed_later": sum(rows for reason, rows in lost.items() if reason.passing),
            "seconds": round(self.seconds, 1),
        }

    def to_text(self) -> str:
        """The same for a reader, as Markdown."""
        found = self.to_dict()
        splits = ", ".join(f"{split} {number:,}" for split, number in found["splits"].items())
        lines = [
            f"{found['pictures']:,} pictures with {found['captions']:,} captions from {self.rows:,} rows ({splits}).",
            "",
            f"{self.assembly.lost.total():,} rows gave no picture, {found['may_succeed_later']:,} of them for a reason "
            f"that may pass (--again). {self.bad_lines:,} lines were no caption and address.",
        ]
        if self.assembly.lost:
            lines += ["", "| lost | rows | share | what it means | may pass |", "|---|---|---|---|---|"]
        for reason, rows in self.assembly.lost.most_common():
            share, passing = f"{rows / self.rows:.1%}", "yes" if reason.passing else ""
            lines.append(f"| {reason.label} | {rows:,} | {share} | {reason.meaning} | {passing} |")
        if self.assembly.lost_hosts:
            lines += ["", "| host | rows lost |", "|---|---|"]
        lines += [f"| {host} | {rows:,} |" for host, rows in found["lost_by_host"].items()]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """`report.json` and `report.md`."""
        for name, text in (("report.json", json.dumps(self.to_dict(), indent=2) + "\n"), ("report.md", self.to_text())):
            unfinished = folder / f".{name}.part"
            unfinished.write_text(text, encoding="utf-8")
            os.replace(unfinished, folder / name)
