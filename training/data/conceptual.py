"""Fetched pictures and their captions into records: one for each content, none that looks like another.

What a list of addresses came to, and why the rest was lost.

Conceptual Captions: a list of captions and addresses to a clean data set.

Source: Sharma, Ding, Goodman, Soricut (2018), "Conceptual Captions: A Cleaned, Hypernymed, Image Alt-text Dataset For
Automatic Image Captioning", ACL.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import stamina.instrumentation

from imagetext.wire.errors import InvalidParameter
from imagetext.wire.guarded_transport import GuardedTransport, is_public
from training.data.admission import Admission, Content, NearDuplicates, Reason
from training.data.downloads import Downloads, Entry, Journal
from training.data.fetch import Fetcher, FetchLimits, Hosts, Politeness
from training.data.records import SPLITS, Record, Shares, is_merged, refuse_repository, remove_unfinished, write_records

# The same file at more addresses is a sign such as "picture not available", not what so many captions speak of.
MAX_ADDRESSES = 5


class Finds(Protocol):
    def find(self, address: str) -> Entry | None: ...


@dataclass
class _Picture:
    entry: Entry
    content: Content
    captions: list[str]
    addresses: list[str]


@dataclass
class Assembly:
    """The records in the order of the list, why rows gave none, and which fetched pictures are not wanted."""

    records: list[Record] = field(default_factory=list)
    lost: Counter[Reason] = field(default_factory=Counter)
    lost_hosts: Counter[str] = field(default_factory=Counter)
    not_asked: int = 0
    unwanted: list[Entry] = field(default_factory=list)
    bytes: int = 0


@dataclass(frozen=True)
class About:
    """What all records of one list share."""

    source: str
    licence: str
    shares: Shares


def assemble(rows: Iterable[tuple[str, str]], journal: Finds, about: About) -> Assembly:
    """The records for (caption, address) rows.

    The list's order decides, not the order of arrival, so every run gives the same: of pictures that look alike the
    first one stays. The same file at several addresses collects their captions. The split follows from the bytes as
    they were fetched.
    """
    assembly = Assembly()
    pictures: dict[str, _Picture] = {}
    placeholders: set[str] = set()  # origins that an earlier, shorter list had too often already
    near = NearDuplicates()
    for caption, address in rows:
        entry = journal.find(address)
        if entry is None:
            assembly.not_asked += 1
        elif entry.reason or entry.content is None:
            _count(assembly, entry, entry.reason or Reason.UNEXPECTED)
            if entry.reason is Reason.PLACEHOLDER:
                placeholders.add(entry.origin)
        elif entry.origin in pictures:
            pictures[entry.origin].captions.append(caption)
            pictures[entry.origin].addresses.append(address)
        elif near.find(entry.content) is not None:
            _refuse(assembly, entry, Reason.NEAR_DUPLICATE)
        else:
            near.add(entry.content)
            pictures[entry.origin] = _Picture(entry, entry.content, [caption], [address])
    for origin, picture in pictures.items():
        if len(set(picture.addresses)) > MAX_ADDRESSES or origin in placeholders:
            for address in picture.addresses:
                _refuse(assembly, replace(picture.entry, address=address), Reason.PLACEHOLDER)
        else:
            assembly.records.append(_record(picture, about))
            assembly.bytes += picture.entry.bytes
    return assembly


def _record(picture: _Picture, about: About) -> Record:
    return Record(
        path=picture.entry.path,
        captions=tuple(dict.fromkeys(picture.captions)),
        split=about.shares.split_of(picture.entry.origin),
        source=about.source,
        licence=about.licence,
        source_url=picture.entry.address,
        **asdict(picture.content),
    )


def _refuse(assembly: Assembly, entry: Entry, reason: Reason) -> None:
    assembly.unwanted.append(replace(entry, reason=reason))
    _count(assembly, entry, reason)


def _count(assembly: Assembly, entry: Entry, reason: Reason) -> None:
    assembly.lost[reason] += 1
    assembly.lost_hosts[urlsplit(entry.address).netloc or "no host"] += 1


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


SOURCE = "conceptual-captions"
LICENCE = "captions: Conceptual Captions licence; the picture belongs to its owner and is not cleared"
JOURNAL = Path("work") / "addresses.sqlite"


@dataclass(frozen=True)
class Rows:
    """The lines CAPTION<TAB>ADDRESS of some files, at most `limit` lines in all; may be iterated again and again."""

    files: tuple[Path, ...]
    limit: int | None = None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return (row for row in self._lines() if row is not None)

    def count(self) -> tuple[int, int]:
        """(rows, lines that are none). Raises InvalidParameter when a file is missing or cannot be read."""
        lines = [row is not None for row in self._lines()]
        return sum(lines), len(lines) - sum(lines)

    def _lines(self) -> Iterator[tuple[str, str] | None]:
        left = self.limit
        for file in self.files:
            try:
                with file.open("rb") as lines:
                    for line in lines:
                        if left == 0:
                            return
                        yield _row(line)
                        left = None if left is None else left - 1
            except OSError as error:
                raise InvalidParameter(f"{file} is missing or cannot be read.") from error


@dataclass(frozen=True)
class Collection:
    """How a list is collected; `contact` tells the hosts' owners whom to write to."""

    admission: Admission = field(default_factory=Admission)
    limits: FetchLimits = field(default_factory=FetchLimits)
    politeness: Politeness = field(default_factory=Politeness)
    shares: Shares = field(default_factory=Shares)
    is_allowed: Callable[[str], bool] = is_public
    contact: str = ""

    @property
    def user_agent(self) -> str:
        return f"imagetext/{version('imagetext')} (collects pictures for research{self.contact and '; '}{self.contact})"


async def collect(rows: Rows, into: Path, collection: Collection, *, again: bool = False) -> Report:
    """Fetch what is not there yet and write the merged format and a report to `into`.

    Raises:
        InvalidParameter: `into` holds another data set, git would take the pictures, or a list cannot be read.
        Unavailable: another run writes there, or the disk is full.
    """
    began = time.monotonic()
    refuse_repository(into)
    if is_merged(into) and not (into / JOURNAL).exists():
        raise InvalidParameter(f"{into} holds a data set that was not collected here; choose another folder.")
    good, bad = rows.count()
    stamina.instrumentation.set_on_retry_hooks(())  # it would write a line for every retry into the progress bar
    with Journal(into / JOURNAL) as journal:
        remove_unfinished(into)
        limits = collection.limits
        transport = GuardedTransport(max_connections=limits.at_once, is_allowed=collection.is_allowed)
        async with Fetcher(Hosts(collection.politeness), limits, collection.user_agent, transport) as fetcher:
            downloads = Downloads(into, journal, fetcher, collection.admission)
            await downloads.run((address for _, address in rows), good, again=again)
        assembly = assemble(rows, journal, About(SOURCE, LICENCE, collection.shares))
        journal.add_all(assembly.unwanted)
    write_records(into, assembly.records)
    wanted = {record.path for record in assembly.records}
    for entry in assembly.unwanted:
        if entry.path not in wanted:
            (into / entry.path).unlink(missing_ok=True)
    report = Report(good, bad, assembly, time.monotonic() - began)
    report.write(into)
    return report


def _row(line: bytes) -> tuple[str, str] | None:
    with suppress(UnicodeDecodeError):
        caption, tab, address = line.decode("utf-8").rstrip("\r\n").partition("\t")
        caption, address = " ".join(caption.split()), address.strip()
        if tab and caption and address and "\t" not in address:
            return caption, address
    return None
