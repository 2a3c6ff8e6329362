"""Collections as clip-retrieval writes them, and what the command line makes of them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.__main__ import main
from tests.indexer.conftest import draw
from tests.indexer.fake_encoder import FakeEncoder

DIMENSIONS = 16


def write_part(
    folder: Path,
    number: str,
    vectors: np.ndarray,
    columns: Sequence[dict[str, Any]],
    texts: np.ndarray | None = None,
) -> None:
    """One part, as clip-retrieval's writer leaves it: a table with large strings, as pandas makes them."""
    for kind in ("img_emb", "metadata", *(("text_emb",) if texts is not None else ())):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    np.save(folder / "img_emb" / f"img_emb_{number}.npy", vectors)
    if texts is not None:
        np.save(folder / "text_emb" / f"text_emb_{number}.npy", texts)
    table = pa.Table.from_pylist(list(columns))
    large = [pa.large_string() if type == pa.string() else type for type in table.schema.types]
    table = table.cast(pa.schema(list(zip(table.column_names, large, strict=True))))
    pq.write_table(table, folder / "metadata" / f"metadata_{number}.parquet")


def unit(number: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((number, DIMENSIONS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five pictures in two folders."""
    folder = tmp_path / "pictures"
    for seed in range(5):
        draw(folder / ("a" if seed < 3 else "b") / f"{seed}.png", seed)
    return folder


@pytest.fixture
def collection(tmp_path: Path, pictures: Path, encoder: FakeEncoder) -> Path:
    """Of these pictures, in two parts with an empty one between them, vectors in float16, with captions."""
    folder = tmp_path / "collection"
    paths = sorted(pictures.rglob("*.png"))
    vectors = encode(encoder, paths).astype(np.float16)
    rows = [
        {
            "image_path": str(path),
            "caption": f"picture {row}",
            "url": f"https://example.org/{row}.png",
            "score": row / 4,
        }
        for row, path in enumerate(paths)
    ]
    texts = encoder.encode_texts([str(row["caption"]) for row in rows]).astype(np.float16)
    write_part(folder, "00", vectors[:3], rows[:3], texts[:3])
    write_part(folder, "10", vectors[3:], rows[3:], texts[3:])
    return folder


def encode(encoder: FakeEncoder, paths: Sequence[Path]) -> np.ndarray:
    from imagetext.pictures import open_picture

    return encoder.encode_pictures([encoder.prepare(open_picture(path)) for path in paths])


@pytest.fixture
def run(index: Path, encoder: FakeEncoder, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """run(command, ...) -> status, what --json said, what it complained of."""

    def call(command: str, *arguments: object, model: FakeEncoder | None = None, at: Path | None = None) -> Any:
        more = [*(["--model", "any"] if command == "import" else []), *map(str, arguments)]
        status = main([command, "--index", str(at or index), "--json", *more], load=lambda _: model or encoder)
        printed, complaint = capsys.readouterr()
        return status, json.loads(printed) if printed else None, complaint

    return call
