"""What stored captions add to a search by vectors, on an index of pictures with reference captions.

python -m indexer build --images DEV --index DIR --captions models/caption-vit-bert
python -m training.hybrid --index DIR --queries Flickr8k.token.txt [--model models/retrieval]

Each reference caption is a query that should find its picture. Prints recall at 1, 5 and 10 in percent for vectors
alone, for BM25 alone, and for both fused.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.engines import Engines
from imagetext.index import IndexReader, current_version, version_folder
from imagetext.index.row_search import fuse
from imagetext.models.encoder.engine import Encoder, load_encoder
from imagetext.wire.errors import ImageTextError, NotFound
from training.dataset import read_captions

DEPTH = 100  # of each ranking, as the retrieval service takes them
PLACES = (1, 5, 10)
BATCH = 32

Rows = NDArray[np.int64]


def recalls(reader: IndexReader, encoder: Encoder, queries: Sequence[tuple[str, int]]) -> dict[str, dict[int, float]]:
    """Way of ranking -> place -> percent of the queries (sentence, row) whose row is at that place or before."""
    ranks: dict[str, list[int]] = {"vectors": [], "words": [], "fused": []}
    for sentence, row, vector in _encoded(encoder, queries):
        by_vector = reader.search(vector[None], DEPTH)[1][0]
        by_words = reader.ranked_by_words(sentence, DEPTH)
        for way, ranking in zip(ranks, (by_vector, by_words, fuse([by_vector, by_words])), strict=True):
            ranks[way].append(_place(ranking, row))
    return {
        way: {place: 100 * float(np.mean(np.array(found) <= place)) for place in PLACES} for way, found in ranks.items()
    }


def _encoded(encoder: Encoder, queries: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int, NDArray[np.float32]]]:
    for start in tqdm(range(0, len(queries), BATCH), unit="batch", disable=None):
        some = queries[start : start + BATCH]
        vectors = encoder.encode_texts([sentence for sentence, _ in some])
        yield from ((sentence, row, vector) for (sentence, row), vector in zip(some, vectors, strict=True))


def _place(ranking: Rows, row: int) -> int:
    """Counted from 1; beyond the ranking where the row is not in it."""
    found = np.flatnonzero(ranking == row)
    return int(found[0]) + 1 if len(found) else DEPTH * 2 + 1


def _queries(reader: IndexReader, sentences: dict[str, tuple[str, ...]]) -> list[tuple[str, int]]:
    rows = [(row.path.rpartition("/")[2], row.row) for row in reader.rows()]
    return [(sentence, row) for name, row in rows for sentence in sentences.get(name, ())]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.hybrid", description=__doc__.split("\n")[0])
    parser.add_argument("--index", type=Path, required=True, metavar="DIR")
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE", help="lines of NAME#0<TAB>A sentence")
    parser.add_argument("--model", default="models/retrieval", help="the encoder of the index")
    options = parser.parse_args(argv)
    try:
        version = current_version(options.index)
        if version is None:
            raise NotFound(f"There is no index in {options.index}.")
        reader = IndexReader.open(version_folder(options.index, version))
        queries = _queries(reader, read_captions(options.queries))
        if not queries:
            raise NotFound(f"{options.queries} has no sentence of a picture of the index.")
        found = recalls(reader, load_encoder(options.model, Engines()), queries)
    except ImageTextError as error:
        sys.stderr.write(error.detail + "\n")
        return 1
    sys.stdout.write(f"{len(queries)} queries, {reader.info.size} pictures\n")
    for way, at in found.items():
        sys.stdout.write(f"{way:8}" + "".join(f"  R@{place} {recall:5.1f}" for place, recall in at.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
