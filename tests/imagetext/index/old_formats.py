"""Versions as earlier formats wrote them."""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import faiss
import numpy as np

from imagetext.index.verification import sum_file

FIRST_FIELDS = ["version", "created", "encoder", "size", "images_root", "skipped", "kind", "files"]


def to_format(folder: Path, format: int) -> None:
    """Make a flat version one of format 1 or 2: rows without times, tags and captions, and in the first a copy of the
    vectors in index.faiss."""
    _without_descriptions(folder / "rows.sqlite")
    fields = json.loads((folder / "manifest.json").read_text()) | {"format": format}
    del fields["checksum"]
    if format == 1:
        vectors = np.load(folder / "vectors.npy")
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        faiss.write_index(flat, str(folder / "index.faiss"))
        fields = {name: fields[name] for name in FIRST_FIELDS} | {"format": 1}
    names = ["vectors.npy", *(["index.faiss"] if format == 1 else []), "rows.sqlite", "skipped.jsonl"]
    fields["files"] = {name: asdict(sum_file(folder / name)) for name in names}
    checksum = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(fields | {"checksum": checksum}, indent=2) + "\n")


def _without_descriptions(rows: Path) -> None:
    with closing(sqlite3.connect(rows)) as connection:
        for statement in ("DROP INDEX measures", "DROP INDEX paths", "DROP TABLE tags", "DROP TABLE texts"):
            connection.execute(statement)
        for column in ("taken", "tags", "captions"):
            connection.execute(f"ALTER TABLE pictures DROP COLUMN {column}")
        connection.commit()
        connection.execute("VACUUM")
