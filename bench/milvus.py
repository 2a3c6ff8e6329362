"""FAISS over files compared with Milvus: `python -m bench.milvus --sizes 10000 100000`.

The same synthetic vectors in files and in Milvus Lite, each opened and searched one query at a time in a separate
process. `--to milvus+http://…/bench` measures the collections of a server instead.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.rows.vector_search import DIMENSIONS, Clusters
from imagetext.index import EncoderRef, IndexOptions, IndexReader, PictureRow, picture_id, version_folder, write_version
from imagetext.index.open_version import OpenVersion
from imagetext.index.remote.location import MilvusAddress, parse_location
from imagetext.index.remote.milvus_rows import MilvusConnection
from imagetext.index.remote.milvus_store import MilvusStore, load
from indexer.reports import shown_bytes

NEIGHBOURS, QUERIES = 10, 200
HEADS = ("pictures", "searched by", "recall@10", "queries/s", "memory", "to open", "to write")

T = TypeVar("T")
Vectors = NDArray[np.float32]
Measured = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.milvus", description="Compare FAISS over files with Milvus.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--files", nargs="+", default=["flat", "ivfpq"], help="kinds of index in files")
    parser.add_argument("--milvus", nargs="*", default=["FLAT", "IVF_FLAT", "HNSW"], help="kinds of index in Milvus")
    parser.add_argument("--to", type=parse_location, help="a Milvus server (default: Milvus Lite)")
    parser.add_argument("--scratch", type=Path, default=Path(".cache/bench-milvus"), help="folder for all indexes")
    parser.add_argument("--seconds", type=float, default=5.0, help="to search each index for")
    options = parser.parse_args(arguments)
    sys.stdout.write("".join(f"| {head} " for head in HEADS) + "|\n" + "|---" * len(HEADS) + "|\n")
    for size in options.sizes:
        for name, measured in _compare(size, options):
            sys.stdout.write(_line(size, name, measured) + "\n")
            sys.stdout.flush()
    return 0


def _compare(size: int, options: argparse.Namespace) -> Iterator[tuple[str, Measured]]:
    vectors = np.concatenate(list(Clusters().chunks(size)))
    queries = Clusters().queries(QUERIES)
    truth = faiss.knn(queries, vectors, NEIGHBOURS, metric=faiss.METRIC_INNER_PRODUCT)[1]
    index: Path = options.scratch / f"files-{size}"
    version = ""
    for kind in options.files:
        version, seconds = _timed(_write, index, vectors, kind)
        measured = _apart(_measure, _open_files, (index, version), queries, truth, options.seconds)
        yield f"files, {kind}", measured | {"write": seconds}
    del vectors
    for index_type in options.milvus:
        address = options.to or MilvusAddress(str(options.scratch / f"lite-{size}-{index_type}.db"), "bench")
        _, seconds = _timed(_apart, _load, address, version_folder(index, version), index_type)
        measured = _apart(_measure, _open_milvus, (address, version), queries, truth, options.seconds)
        yield f"Milvus{'' if options.to else ' Lite'}, {index_type}", measured | {"write": seconds}


def _write(index: Path, vectors: Vectors, kind: str) -> str:
    names = (f"{row:08}.jpg" for row in range(len(vectors)))
    rows = [PictureRow(row, picture_id(name), name, f"{row:064x}", 1, 1, 1, 1) for row, name in enumerate(names)]
    encoder = EncoderRef("bench", "bench", DIMENSIONS)
    return write_version(index, rows, vectors, encoder=encoder, images_root=Path("/"), options=IndexOptions(kind=kind))


def _load(address: MilvusAddress, folder: Path, index_type: str) -> None:
    load(MilvusStore(MilvusConnection(address)), folder, index_type)


def _open_files(index: Path, version: str) -> OpenVersion:
    return IndexReader.open(version_folder(index, version))


def _open_milvus(address: MilvusAddress, version: str) -> OpenVersion:
    return MilvusStore(MilvusConnection(address)).open(version)


def _apart(work: Callable[..., T], *arguments: Any) -> T:
    """In a separate process, so that its memory can be measured."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


def _measure(
    opens: Callable[..., OpenVersion],
    where: tuple[Any, ...],
    queries: Vectors,
    truth: NDArray[np.int64],
    seconds: float,
) -> Measured:
    """`memory` is the growth of resident memory since the start, including pages of mapped files."""
    before, start = _resident(), time.perf_counter()
    reader = opens(*where)
    reader.search(queries[:1], NEIGHBOURS)  # some files are only read now
    opening = time.perf_counter() - start
    found = [reader.search(query[None], NEIGHBOURS)[1][0] for query in queries]
    shared = [len(np.intersect1d(mine, theirs)) for mine, theirs in zip(found, truth, strict=True)]
    count, start, endless = 0, time.perf_counter(), cycle(queries)
    while (took := time.perf_counter() - start) < seconds:
        reader.search(next(endless)[None], NEIGHBOURS)
        count += 1
    return {
        "recall": float(np.mean(shared)) / NEIGHBOURS,
        "speed": count / took,
        "memory": _resident() - before,
        "open": opening,
    }


def _timed(work: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    start = time.perf_counter()
    return work(*arguments), time.perf_counter() - start


def _resident() -> float:
    """Bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * float(fields["VmRSS"].split()[0])


def _line(size: int, name: str, measured: Measured) -> str:
    cells = (
        f"{size:,}",
        name,
        f"{measured['recall']:.3f}",
        f"{measured['speed']:,.0f}",
        shown_bytes(measured["memory"]),
        f"{measured['open']:.2f} s",
        f"{measured['write']:.0f} s",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
