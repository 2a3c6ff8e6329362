"""A merged data set as tar files, for readers that stream.

    DIR/train-000000.tar    000000000.jpg, 000000000.txt (captions, one a line), 000000000.json (the record), ...

The layout is that of the libraries webdataset and img2dataset; the members are in the order of the table.
"""

import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from training.data.pictures import refuse_repository
from training.data.record import SPLITS, Record

PICTURES_EACH = 1_000


def write_shards(folder: Path, records: Sequence[Record], into: Path, each: int = PICTURES_EACH) -> list[Path]:
    """Write the pictures of `folder` to `into`, `each` in one file; every file is written whole or not at all.

    Raises:
        InvalidParameter: git would take the files.
    """
    refuse_repository(into)
    into.mkdir(parents=True, exist_ok=True)
    written = []
    with tqdm(total=len(records), desc="shards", unit="picture", disable=None) as bar:
        for split in SPLITS:
            chosen = [record for record in records if record.split == split]
            for number, start in enumerate(range(0, len(chosen), each)):
                path = into / f"{split}-{number:06}.tar"
                _write(path, folder, chosen[start : start + each], start)
                written.append(path)
                bar.update(len(chosen[start : start + each]))
    return written


def _write(path: Path, folder: Path, records: Sequence[Record], start: int) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    with tarfile.open(unfinished, "w") as tar:
        for number, record in enumerate(records, start):
            for suffix, data in _members(folder, record):
                member = tarfile.TarInfo(f"{number:09}{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    os.replace(unfinished, path)


def _members(folder: Path, record: Record) -> Iterator[tuple[str, bytes]]:
    yield PurePosixPath(record.path).suffix, (folder / record.path).read_bytes()
    yield ".txt", "\n".join(record.captions).encode()
    yield ".json", json.dumps(asdict(record), ensure_ascii=False).encode()
