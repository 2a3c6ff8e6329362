"""`python -m indexer build`: pictures become a new version, once or whenever a folder changes."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imagetext.index import current_version
from imagetext.index.remote.object_store import ObjectStore
from imagetext.index.remote.places import Place, StoreAddress, folder_name
from imagetext.wire.errors import InvalidParameter
from indexer.arguments import read_wanted
from indexer.build import build
from indexer.descriptions import Description, Descriptions, read_descriptions
from indexer.distributed.on_ray import OnRay
from indexer.label_tags import Labeller
from indexer.reports import Context, Summary
from indexer.sources import FolderSource, Source, open_source
from indexer.transfer_commands import pull_version, push_version

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

WORK = Path("data/index-work")  # for indexes in a store


def build_command(options: argparse.Namespace, context: Context) -> int:
    wanted = read_wanted(options)
    source = open_source(options.images, options.format)  # before the model is loaded, which takes seconds
    watched = _watched(source) if options.watch else None
    descriptions = _descriptions(options, context)
    encoder = context.load_encoder(options.model)
    if options.labels is not None:
        descriptions = replace(descriptions, labeller=Labeller(encoder, options.labels, options.label_threshold))

    def build_once() -> None:
        def build_in(index: Path) -> Summary:
            pipeline = _pipeline(options, index, context.load_encoder)
            return build(source, index, encoder, wanted, descriptions, encode=pipeline)

        summary = build_at(options.index, options.work, build_in)
        context.say(summary.to_json() if options.json else summary.to_text())

    if watched is None:
        build_once()
    else:
        _watch(watched, options, build_once, context)
    return 0


def build_at(place: Place, work: Path | None, build: Callable[[Path], Summary]) -> Summary:
    """Build in a folder, which is `place` itself or stands for a store, and publish at `place`.

    If the folder has no version yet, the store's current one is copied into it, so that a new machine need not encode
    everything again.

    Args:
        work: where versions for a store are built; None: a folder below `WORK`.
    """
    if isinstance(place, Path):
        return build(place)
    folder = work or WORK / folder_name(place)
    if isinstance(place, StoreAddress):
        store = ObjectStore(place)
        published = store.current()  # asked now: hours may pass before the build needs the store
        if published is not None and current_version(folder) is None:
            pull_version(store, folder, published)
    summary = build(folder)
    push_version(folder, summary.version, place)
    return summary


def _pipeline(options: argparse.Namespace, index: Path, load: Callable[[str], "Encoder"]) -> OnRay | None:
    if options.on is None:
        return None
    model = os.path.abspath(options.model) if os.path.exists(options.model) else options.model
    return OnRay(index, partial(load, model), options.on or None)


def _watched(source: Source) -> Path:
    """Raises InvalidParameter unless the source is a folder of pictures."""
    if not isinstance(source, FolderSource):
        raise InvalidParameter("--watch works only with a folder of pictures; build other places with a timer.")
    return Path(source.address)


def _watch(images: Path, options: argparse.Namespace, build: Callable[[], None], context: Context) -> None:
    """Until Ctrl-C, which is how it is meant to end."""
    from indexer.watch import watch_folder

    try:
        watch_folder(images, options.index, build, context.fail)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped watching.\n")


def _descriptions(options: argparse.Namespace, context: Context) -> Descriptions:
    given: dict[str, Description] = {}
    has_file = options.captions is not None and Path(options.captions).is_file()
    for file in ([Path(options.captions)] if has_file else []) + ([options.metadata] if options.metadata else []):
        for path, description in read_descriptions(file).items():
            given[path] = given.get(path, Description()).with_later(description)
    captioner = context.load_captioner(options.captions) if options.captions is not None and not has_file else None
    return Descriptions(given, captioner)
