"""`python -m indexer import` and `export`: collections come and go."""

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from imagetext.index import IndexReader, current_version, list_versions, version_folder
from imagetext.wire.errors import InvalidParameter, NotFound
from indexer.arguments import read_wanted
from indexer.exchange.layout import Layout, recognise
from indexer.scan import require_folder

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

Say = Callable[[str], None]
Load = Callable[[str], "Encoder"]


def import_(options: argparse.Namespace, load: Load, say: Say) -> None:
    from indexer.exchange.importing import import_collection
    from indexer.exchange.shards import open_shards

    require_folder(options.source)
    layout = recognise(options.source)
    if layout is Layout.TABLE:
        _import_table(options, load, say)
        return
    wanted = read_wanted(options)
    open_shards(options.source, layout)  # before the model is loaded, which takes seconds
    made = import_collection(
        options.source,
        layout,
        options.index,
        load(options.model),
        images=options.images,
        wanted=wanted,
        trust=options.trust,
    )
    if options.json:
        say(json.dumps(json.loads(made.summary.to_json()) | {"missing": made.missing, "compared": made.compared}))
        return
    say(made.summary.to_text())
    if made.missing:
        say(f"{made.missing} pictures have no file here: they are found, but cannot be shown.")
    if made.compared is None:
        say(f"That the vectors are of the model {options.model} was not checked.")


def _import_table(options: argparse.Namespace, load: Load, say: Say) -> None:
    from indexer.import_embeddings import import_embeddings

    if options.images is None:
        raise InvalidParameter("This data set carries its pictures: say with --images where they are to be written.")
    summary = import_embeddings(options.source, options.images, options.index, load(options.model))
    say(summary.to_json() if options.json else summary.to_text())


def export_(options: argparse.Namespace, load: Load, say: Say) -> None:
    from indexer.exchange.exporting import export

    layout = Layout(options.format)
    if options.model and layout is not Layout.CLIP_RETRIEVAL:
        raise InvalidParameter("Vectors of captions are only written with --format clip-retrieval.")
    version = options.version or current_version(options.index)
    if version is None or version not in list_versions(options.index):
        what = f"version {version}" if version else "version yet"
        raise NotFound(f"The index has no {what}; `python -m indexer versions --index {options.index}` lists them.")
    dtype = options.dtype or ("float16" if layout is Layout.CLIP_RETRIEVAL else "float32")
    reader = IndexReader.open(version_folder(options.index, version), verify=True)  # damage must not be handed on
    try:
        encoder = load(options.model) if options.model else None
        made = export(reader, options.out, layout, dtype=dtype, shard_size=options.shard_size, encoder=encoder)
    finally:
        reader.close()
    say(json.dumps(made.to_json()) if options.json else made.to_text())


def import_embeddings_(options: argparse.Namespace, load: Load, say: Say) -> None:
    from indexer.import_embeddings import import_embeddings

    require_folder(options.source)
    summary = import_embeddings(options.source, options.pictures, options.index, load(options.model))
    say(summary.to_json() if options.json else summary.to_text())
