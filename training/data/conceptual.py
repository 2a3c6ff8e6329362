"""Conceptual Captions: a list of captions and addresses to a clean data set.

Source: Sharma, Ding, Goodman, Soricut (2018), "Conceptual Captions: A Cleaned, Hypernymed, Image Alt-text Dataset For
Automatic Image Captioning", ACL.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import stamina.instrumentation

from imagetext.addresses import is_public
from imagetext.errors import InvalidParameter
from training.data.admission import Admission
from training.data.assembly import About, assemble
from training.data.download.fetch import Fetcher, FetchLimits
from training.data.download.hosts import Hosts, Politeness
from training.data.download.journal import Journal
from training.data.download.run import Downloads
from training.data.folder import is_merged, write_records
from training.data.pictures import refuse_repository, remove_unfinished
from training.data.report import Report
from training.data.splitting import Shares

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
        async with Fetcher(
            Hosts(collection.politeness), collection.limits, collection.user_agent, is_allowed=collection.is_allowed
        ) as fetcher:
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
