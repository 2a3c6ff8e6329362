"""Fetched pictures and their captions into records: one for each content, none that looks like another."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

from training.data.content import Content
from training.data.download.journal import Entry
from training.data.download.reasons import Reason
from training.data.near import NearDuplicates
from training.data.record import Record
from training.data.splitting import Shares

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
