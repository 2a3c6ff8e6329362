"""All rows, in the order of the table. Musts and aims are those that the project was given."""

from functools import partial

from bench.row import Row


def catalogue() -> list[Row]:
    """What the rows need is imported here; nothing is loaded before a row is prepared."""
    return [*_embedding(), *_captions(), *_search(), *_infinity(), *_offline()]


def _embedding() -> list[Row]:
    from bench.rows.embedding import clip_pictures, clip_text, compact_pictures, compact_text

    eager, transformers = "torch eager, float32", "transformers eager, float32"
    one, many = partial(compact_pictures, batch=1), partial(compact_pictures, batch=16)
    clip = partial(clip_pictures, batch=8)
    return [
        Row("pictures-1", "compact picture embedding, batch 1", eager, "ms", 8, 15, one, gate=True),
        Row("pictures-16", "compact picture embedding, batch 16", eager, "ms", 4, 8, many, gate=True),
        Row("clip-pictures-8", "CLIP ViT-B/32 pictures, batch 8", transformers, "ms", 3.5, 5, clip, gate=True),
        Row("text-minilm", "MiniLM text embedding, batch 1", transformers, "ms", 5, 8, compact_text, gate=True),
        Row("text-clip", "CLIP text embedding, batch 1", transformers, "ms", 5, 8, clip_text, gate=True),
    ]


def _captions() -> list[Row]:
    from bench.rows.caption_service import captions_at_once
    from bench.rows.captions import GRU, VIT_BERT, compact_captions, full_size_captions

    gru, vit_bert = partial(compact_captions, folder=GRU), partial(compact_captions, folder=VIT_BERT)
    loop, generate, plain = "plain torch loop", "transformers' generate", "plain FastAPI endpoint"
    full = "caption, ViT-B and BERT-base, 16 tokens"
    return [
        Row("caption-gru", "caption, one at a time, GRU, beam 3", loop, "ms", 4, 8, gru, gate=True),
        Row("caption-vit-bert", "caption, one at a time, ViT-BERT, beam 3", generate, "ms", 4, 8, vit_bert, gate=True),
        Row("captions-16", "captions over HTTP, 16 at once", plain, "pictures/s", 6, 12, captions_at_once, rounds=5),
        Row("caption-full-size", full, generate, "ms", 2.5, 4, full_size_captions, rounds=5),
    ]


def _search() -> list[Row]:
    from bench.rows.search_service import cached_search, uncached_search

    return [
        Row(
            "search",
            "search through the gateway, p50",
            "text encoding and FAISS in process",
            "ms",
            2.0,
            1.4,
            uncached_search,
            gate=True,
            lower_is_better=True,
            rounds=5,
        ),
        Row(
            "search-cached",
            "cached search, per core",
            "the same uncached",
            "requests/s",
            5,
            10,
            cached_search,
            gate=True,
            rounds=5,
        ),
    ]


def _infinity() -> list[Row]:
    from bench.rows.infinity import clip_over_http

    return [
        Row(
            f"infinity-{callers}",
            f"CLIP pictures over HTTP, {callers} callers",
            "infinity",
            "pictures/s",
            1.5,
            3,
            partial(clip_over_http, callers=callers),
            rounds=5,
        )
        for callers in (16, 64)
    ]


def _offline() -> list[Row]:
    from bench.rows.indexing import PARTS, indexing, indexing_with_clip
    from bench.rows.vector_search import million_vectors

    loader, exact, bare = "torch DataLoader loop", "exact flat search", "CLIP alone, pictures ready"
    kept = "indexing a folder of JPEGs with CLIP ViT-B/32"
    million = "FAISS search, 1 million x 512, recall@10 ≥ 0.98"
    return [
        Row("indexing", "indexing a folder of JPEGs", loader, "pictures/s", 2.5, 5, indexing, rounds=PARTS),
        Row("indexing-clip", kept, bare, "pictures/s", 0.9, 0.95, indexing_with_clip, rounds=3),
        Row("faiss-million", million, exact, "queries/s", 15, 40, million_vectors),
    ]
