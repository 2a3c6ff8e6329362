"""All rows in the order of the table, with their thresholds and targets by instruction set."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.machine import AMX, AVX2, AVX2_VNNI, AVX512, AVX512_VNNI, OTHER
from bench.row import Contest, Row, Setting


@dataclass(frozen=True)
class Limits:
    """Of a ratio: a run fails if the threshold is missed; the target is only shown."""

    threshold: float
    target: float | None


# (threshold, target); None if no target is set.
# fmt: off
THRESHOLDS: dict[str, tuple[tuple[float, float | None], tuple[float, float | None]]] = {
    # row                  AVX2           AVX-512 VNNI
    "pictures-1":        ((4, None),     (8, 15)),
    "pictures-16":       ((8, None),     (4, 8)),
    "clip-pictures-8":   ((1.2, None),   (3.5, 5)),
    "text-minilm":       ((3, None),     (5, 8)),
    "text-clip":         ((2.5, None),   (5, 8)),
    "caption-gru":       ((4, 8),        (4, 8)),
    "caption-vit-bert":  ((4, 8),        (4, 8)),
    "captions-16":       ((6, 12),       (6, 12)),
    "caption-full-size": ((2.5, 4),      (2.5, 4)),
    "search":            ((2.0, 1.4),    (2.0, 1.4)),
    "search-cached":     ((5, 10),       (5, 10)),
    "infinity-16":       ((1.5, 3),      (1.5, 3)),
    "infinity-64":       ((1.5, 3),      (1.5, 3)),
    "indexing":          ((4, None),     (2.5, 5)),
    "indexing-clip":     ((0.9, 0.95),   (0.9, 0.95)),
    "formats-jpeg-12mp": ((0.8, None),   (0.8, None)),
    "formats-jpeg-2mp":  ((0.8, None),   (0.8, None)),
    "formats-png":       ((0.8, None),   (0.8, None)),
    "formats-webp":      ((0.8, None),   (0.8, None)),
    "faiss-million":     ((15, 40),      (15, 40)),
}
# fmt: on
AT_MOST = ("search",)  # rows whose ratio is our time over the rival's; all other ratios must be at least the threshold

# Instruction set -> column: AVX2 with VNNI and AVX-512 without it are judged like AVX2, AMX like AVX-512 VNNI.
COLUMNS = {OTHER: 0, AVX2: 0, AVX2_VNNI: 0, AVX512: 0, AVX512_VNNI: 1, AMX: 1}

Prepare = Callable[[Setting], AbstractContextManager[Contest]]
MakeRow = Callable[..., Row]


def catalogue(instruction_set: str) -> list[Row]:
    """Imports what the rows need; nothing is loaded before a row is prepared."""
    row = partial(_row, instruction_set)
    return [*_embedding(row), *_captions(row), *_search(row), *_infinity(row), *_offline(row)]


def _row(instruction_set: str, name: str, work: str, rival: str, unit: str, prepare: Prepare, **more: Any) -> Row:
    limit, at_most = limits(name, instruction_set), name in AT_MOST
    return Row(name, work, rival, unit, limit.threshold, limit.target, prepare, lower_is_better=at_most, **more)


def _embedding(row: MakeRow) -> list[Row]:
    from bench.rows.embedding import clip_pictures, clip_text, compact_pictures, compact_text

    eager, transformers = "torch eager, float32", "transformers eager, float32"
    one, many = partial(compact_pictures, batch=1), partial(compact_pictures, batch=16)
    clip = partial(clip_pictures, batch=8)
    return [
        row("pictures-1", "compact picture embedding, batch 1", eager, "ms", one, gate=True),
        row("pictures-16", "compact picture embedding, batch 16", eager, "ms", many, gate=True),
        row("clip-pictures-8", "CLIP ViT-B/32 pictures, batch 8", transformers, "ms", clip, gate=True),
        row("text-minilm", "MiniLM text embedding, batch 1", transformers, "ms", compact_text, gate=True),
        row("text-clip", "CLIP text embedding, batch 1", transformers, "ms", clip_text, gate=True),
    ]


def _captions(row: MakeRow) -> list[Row]:
    from bench.rows.captions import GRU, VIT_BERT, captions_at_once, compact_captions, full_size_captions

    gru, vit_bert = partial(compact_captions, folder=GRU), partial(compact_captions, folder=VIT_BERT)
    loop, generate, plain = "plain torch loop", "transformers' generate", "plain FastAPI endpoint"
    full = "caption, ViT-B and BERT-base, 16 tokens"
    return [
        row("caption-gru", "caption, one at a time, GRU, beam 3", loop, "ms", gru, gate=True),
        row("caption-vit-bert", "caption, one at a time, ViT-BERT, beam 3", generate, "ms", vit_bert, gate=True),
        row("captions-16", "captions over HTTP, 16 at once", plain, "pictures/s", captions_at_once, rounds=5),
        row("caption-full-size", full, generate, "ms", full_size_captions, rounds=5),
    ]


def _search(row: MakeRow) -> list[Row]:
    from bench.rows.search_service import cached_search, uncached_search

    search, rival = "search through the gateway, p50", "text encoding and FAISS in process"
    cached, uncached = "cached search, per core", "the same uncached"
    return [
        row("search", search, rival, "ms", uncached_search, gate=True, rounds=5),
        row("search-cached", cached, uncached, "requests/s", cached_search, gate=True, rounds=5),
    ]


def _infinity(row: MakeRow) -> list[Row]:
    from bench.rows.search_service import clip_over_http

    def over_http(callers: int) -> Row:
        work, prepare = f"CLIP pictures over HTTP, {callers} callers", partial(clip_over_http, callers=callers)
        return row(f"infinity-{callers}", work, "infinity", "pictures/s", prepare, rounds=5)

    return [over_http(16), over_http(64)]


def _offline(row: MakeRow) -> list[Row]:
    from bench.rows.indexing import FORMATS, PARTS, indexing, indexing_format, indexing_with_clip
    from bench.rows.vector_search import million_vectors

    loader, exact, bare = "torch DataLoader loop", "exact flat search", "CLIP alone, pictures ready"
    with_clip = "indexing a folder of JPEGs with CLIP ViT-B/32"
    million, ideal = "FAISS search, 1 million x 512, recall@10 ≥ 0.98", "decoding and model, no time lost"

    def of_format(name: str, title: str) -> Row:
        prepare = partial(indexing_format, name=name)
        return row(f"formats-{name}", f"indexing a folder of {title}", ideal, "pictures/s", prepare, rounds=3)

    return [
        row("indexing", "indexing a folder of JPEGs", loader, "pictures/s", indexing, rounds=PARTS),
        row("indexing-clip", with_clip, bare, "pictures/s", indexing_with_clip, rounds=3),
        *(of_format(name, each.title) for name, each in FORMATS.items()),
        row("faiss-million", million, exact, "queries/s", million_vectors),
    ]


def limits(row: str, instruction_set: str) -> Limits:
    """Raises KeyError for an unknown row or instruction set."""
    return Limits(*THRESHOLDS[row][COLUMNS[instruction_set]])
