"""The same few pictures in every kind of place."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image


def png(seed: int, size: tuple[int, int] = (16, 12)) -> bytes:
    """The file of a picture that no other seed gives."""
    pixels = np.random.default_rng(seed).integers(4, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def photo(seed: int, taken: str = "2024:05:31 18:30:05") -> bytes:
    """The file of a picture that says when it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = taken
    file = io.BytesIO()
    Image.open(io.BytesIO(png(seed))).save(file, "JPEG", exif=exif)
    return file.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def sample(key: str, seed: int, caption: str) -> dict[str, bytes]:
    """What webdataset writes of one captioned picture."""
    return {f"{key}.json": json.dumps({"caption": caption}).encode(), f"{key}.png": png(seed)}


def write_parquet(path: Path, columns: Mapping[str, Any], rows_in_group: int = 4) -> None:
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path, row_group_size=rows_in_group)


@pytest.fixture
def bucket() -> Iterator[Callable[[Mapping[str, bytes]], str]]:
    """bucket(files) puts them into an object store in memory and returns its address."""
    store = fsspec.filesystem("memory")

    def put(files: Mapping[str, bytes]) -> str:
        for name, content in files.items():
            store.pipe_file(f"/bucket/album/{name}", content)
        return "memory://bucket/album"

    yield put
    if store.exists("/bucket"):
        store.rm("/bucket", recursive=True)
