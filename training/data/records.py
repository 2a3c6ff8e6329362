"""The merged format: a folder with `Images/` and one table, `pictures.parquet`, with a record for every picture.

A record says where a picture comes from and what it may be used for. Its split follows from its content alone, so no
picture changes sides when others are added. Picture files are linked, copied or written, each whole or not at all.
"""

import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from imagetext.wire.errors import InvalidParameter

SPLITS = ("train", "dev", "test")  # the later, the further from training: a picture found in two belongs to the later
PICTURES = "Images"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `pictures.parquet`.

    `path` is relative to the folder, with forward slashes, and lies below `Images/`. `width` and `height` are pixels of
    the upright picture. `sha256` is that of the file's bytes; `dhash` and `phash` are 64-bit perceptual hashes in hex
    (`training.data.admission`). What nobody knows of `licence`, `author` and `source_url` is an empty string.

    Raises:
        InvalidParameter: a value that no picture can have.
    """

    path: str
    captions: tuple[str, ...]
    split: str
    source: str
    width: int
    height: int
    sha256: str
    dhash: str
    phash: str
    licence: str = ""
    author: str = ""
    source_url: str = ""

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.parts[:1] != (PICTURES,) or len(path.parts) < 2 or ".." in path.parts:
            raise InvalidParameter(f"The path {self.path!r} does not lie below {PICTURES}/.")
        if not self.captions or not all(caption.strip() for caption in self.captions):
            raise InvalidParameter(f"{self.path} has no caption, or an empty one.")
        if self.split not in SPLITS:
            raise InvalidParameter(f"{self.path} is in the split {self.split!r}; there are {', '.join(SPLITS)}.")
        if not self.source:
            raise InvalidParameter(f"{self.path} names no source.")
        if self.width < 1 or self.height < 1:
            raise InvalidParameter(f"{self.path} measures {self.width} x {self.height} pixels.")
        if not (_SHA256.fullmatch(self.sha256) and _HASH.fullmatch(self.dhash) and _HASH.fullmatch(self.phash)):
            raise InvalidParameter(f"{self.path} has a hash that is none.")

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Shares:
    """Which share of the pictures is held back for each split, 0 to 1.

    Raises:
        InvalidParameter: a share is negative, or nothing is left to train on.
    """

    dev: float = 0.02
    test: float = 0.02

    def __post_init__(self) -> None:
        if self.dev < 0 or self.test < 0 or self.dev + self.test >= 1:
            raise InvalidParameter("The shares of dev and test must be at least 0 and together less than 1.")

    def split_of(self, sha256: str) -> str:
        """The split of the picture with this hash."""
        place = int(sha256[:13], 16) / 16**13
        if place < self.test:
            return "test"
        return "dev" if place < self.test + self.dev else "train"


def write_picture(path: Path, data: bytes) -> None:
    """Several threads may write the same picture at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{threading.get_ident()}.part")
    unfinished.write_bytes(data)
    os.replace(unfinished, path)


def remove_unfinished(folder: Path) -> None:
    """Delete what a killed `write_picture` left in a data set's folder."""
    for unfinished in (folder / PICTURES).rglob(".*.part"):
        unfinished.unlink()


def bring_picture(source: Path, target: Path, *, copy: bool) -> None:
    """Make `target` a copy of `source`, or a symbolic link to it; what was there is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = source.resolve()
    if target.exists() and target.resolve() == source and (target.is_symlink() != copy or target == source):
        return
    unfinished = target.with_name(f".{target.name}.part")
    unfinished.unlink(missing_ok=True)
    if copy:
        shutil.copyfile(source, unfinished)
    else:
        unfinished.symlink_to(source)
    os.replace(unfinished, target)


def refuse_repository(folder: Path) -> None:
    """Raise InvalidParameter for a folder whose files git would take: pictures of others do not belong there."""
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    command = ["git", "check-ignore", "-q", str(folder.absolute() / PICTURES)]
    try:
        answer = subprocess.run(command, cwd=existing, stderr=subprocess.DEVNULL, check=False)
    except FileNotFoundError:  # no git, no repository
        return
    if answer.returncode == 1:  # 0: ignored, 128: no repository
        raise InvalidParameter(f"{folder} lies in a git repository that does not ignore it; choose another folder.")


TABLE = "pictures.parquet"
VERSION = b"1"  # of the format; another one is refused

_KEY = b"imagetext.pictures"
_TYPES = {"captions": pa.list_(pa.string()), "width": pa.int32(), "height": pa.int32()}
SCHEMA = pa.schema(
    [pa.field(field.name, _TYPES.get(field.name, pa.string()), nullable=False) for field in fields(Record)],
    metadata={_KEY: VERSION},
)


def is_merged(folder: Path) -> bool:
    """Whether `folder` holds a data set in the merged format."""
    return (folder / TABLE).is_file()


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """Replace the table of `folder`, all or nothing. The order of the records is kept.

    Raises:
        InvalidParameter: two records have the same path.
    """
    rows = [asdict(record) for record in records]
    [(path, times)] = Counter(row["path"] for row in rows).most_common(1) or [("", 1)]
    if times > 1:
        raise InvalidParameter(f"{times} records have the path {path}.")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{TABLE}.part"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), unfinished)
    os.replace(unfinished, folder / TABLE)


def read_records(folder: Path) -> list[Record]:
    """All records of a merged data set, in the order of its table.

    Raises:
        InvalidParameter: there is no table, it cannot be read or is of another version, or a record is impossible.
    """
    if not is_merged(folder):
        raise InvalidParameter(f"{folder} holds no {TABLE}.")
    try:
        table = pq.read_table(folder / TABLE)
    except (pa.ArrowException, OSError) as error:
        raise InvalidParameter(f"{folder / TABLE} cannot be read; it may be damaged.") from error
    if (table.schema.metadata or {}).get(_KEY) != VERSION or not table.schema.equals(SCHEMA):
        raise InvalidParameter(f"{folder / TABLE} is not a table of this version of the merged format.")
    return [Record(**{**row, "captions": tuple(row["captions"])}) for row in table.to_pylist()]
