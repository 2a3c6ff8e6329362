"""The files of a collection.

clip-retrieval      img_emb/img_emb_07.npy        (rows, dimensions) float16 or float32
                    text_emb/text_emb_07.npy      vectors of the captions, if it has any
                    metadata/metadata_07.parquet  image_path, caption, and what else came with the pictures
parquet             part-07.parquet               the same columns, and `embedding`

Numbers have as many digits as the number of files does, and a number may be missing: clip-retrieval writes no file for
a part in which it found nothing.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from imagetext.wire.errors import InvalidParameter, NotFound

PICTURES, TEXTS, METADATA, PART = "img_emb", "text_emb", "metadata", "part"
EMBEDDING = "embedding"  # the column of vectors in parquet
OWN = "imagetext"  # the column with a row as the index has it, and the name of the note in the files' own metadata

_NUMBER = re.compile(r"_(\d+)\.(?:npy|parquet)")


class Layout(StrEnum):
    CLIP_RETRIEVAL = "clip-retrieval"
    PARQUET = "parquet"
    TABLE = "table"  # a data set of the package datasets, with its pictures


def recognise(folder: Path) -> Layout:
    """Which layout a folder has, by the names of its files and the columns in them.

    Raises:
        NotFound: none that is read here.
        InvalidParameter: a file is damaged.
    """
    from indexer.exchange.shards import column_names

    if _numbered(folder, PICTURES):
        return Layout.CLIP_RETRIEVAL
    parts = parquet_parts(folder)
    if parts and EMBEDDING in column_names(parts[0]):
        return Layout.PARQUET
    if next(folder.rglob("*.parquet"), None) or next(folder.rglob("*.arrow"), None):
        return Layout.TABLE
    raise NotFound(
        f"{folder} holds no collection that is read here: neither img_emb/img_emb_*.npy of clip-retrieval, nor parquet "
        f"files with a column {EMBEDDING}, nor a data set saved by the package datasets."
    )


def parquet_parts(folder: Path) -> list[Path]:
    """The parquet files of a folder in the order of their names."""
    return sorted(folder.glob("*.parquet"))


def clip_retrieval_parts(folder: Path) -> list[tuple[Path, Path, Path | None]]:
    """The files of each part, by its number: vectors, metadata, and vectors of texts.

    Raises:
        InvalidParameter: a file has no partner, or a number is there twice.
    """
    vectors, metadata, texts = (_numbered(folder, name) for name in (PICTURES, METADATA, TEXTS))
    for number in sorted(vectors.keys() ^ metadata.keys()):
        there, missing = (vectors, METADATA) if number in vectors else (metadata, PICTURES)
        raise InvalidParameter(f"{there[number].name} has no {missing} of the number {number} beside it.")
    return [(vectors[number], metadata[number], texts.get(number)) for number in sorted(vectors)]


def part_name(kind: str, number: int, of: int) -> str:
    """img_emb_07 as clip-retrieval calls the eighth of some dozens; part-07 in parquet."""
    separator = "-" if kind == PART else "_"
    return f"{kind}{separator}{number:0{len(str(of))}}"


def _numbered(folder: Path, kind: str) -> dict[int, Path]:
    """By number; in the folder of that kind, or in any other, as older collections have them."""
    suffix = "parquet" if kind == METADATA else "npy"
    return _by_number([*folder.glob(f"{kind}_*.{suffix}"), *folder.glob(f"*/{kind}_*.{suffix}")])


def _by_number(files: Iterable[Path]) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for file in sorted(files):
        number = _NUMBER.search(file.name)
        if number is None:
            continue
        other = found.setdefault(int(number[1]), file)
        if other != file:
            raise InvalidParameter(f"{other} and {file} have the same number.")
    return found
