"""A build whose index is not on this machine: made in a folder here, then sent.

`python -m indexer build`: pictures to a new version, once or whenever a folder changes.
"""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imagetext.index import current_version
from imagetext.index.remote.location import Location, StoreAddress, folder_name
from imagetext.index.remote.object_store import ObjectStore
from imagetext.wire.errors import InvalidParameter
from indexer.arguments import read_wanted
from indexer.build import build
from indexer.descriptions import Description, Descriptions, read_descriptions
from indexer.distributed.on_ray import OnRay
from indexer.sources import FolderSource, Source, open_source
from indexer.summary import Summary
from indexer.transfer_commands import pull_version, push_version

if TYPE_CHECKING:
    from imagetext.models.captioner.engine import Captioner
    from imagetext.models.encoder.engine import Encoder


WORK = Path("data/index-work")


def build_at(place: Location, work: Path | None, build: Callable[[Path], Summary]) -> Summary:
    """Build in a folder, which is `place` itself or one for it, and publish at `place`.

    What a store has is copied here first if there is nothing here: a new machine need not encode all again.

    Args:
        work: where the versions are made that go elsewhere; None: a folder below `WORK`.
    """
    if isinstance(place, Path):
        return build(place)
    folder = work or WORK / folder_name(place)
    if isinstance(place, StoreAddress):
        store = ObjectStore(place)
        published = store.current()  # asked first of all: a build may take hours before it needs the store
        if published is not None and current_version(folder) is None:
            pull_version(store, folder, published)
    summary = build(folder)
    push_version(folder, summary.version, place)
    return summary


Say = Callable[[str], None]


def build_command(
    options: argparse.Namespace,
    load: Callable[[str], "Encoder"],
    load_captioner: Callable[[str], "Captioner"],
    say: Say,
    fail: Callable[[str], int],
) -> None:
    wanted = read_wanted(options)
    source = open_source(options.images, options.format)  # before the model is loaded, which takes seconds
    watched = _watched(source) if options.watch else None
    descriptions = _descriptions(options, load_captioner)
    encoder = load(options.model)

    def make() -> None:
        def build_in(index: Path) -> Summary:
            return build(source, index, encoder, wanted, descriptions, encode=_pipeline(options, index, load))

        summary = build_at(options.index, options.work, build_in)
        say(summary.to_json() if options.json else summary.to_text())

    if watched is not None:
        _watch(watched, options, make, fail)
    else:
        make()


def _pipeline(options: argparse.Namespace, index: Path, load: Callable[[str], "Encoder"]) -> OnRay | None:
    if options.on is None:
        return None
    model = os.path.abspath(options.model) if os.path.exists(options.model) else options.model
    return OnRay(index, partial(load, model), options.on or None)


def _watched(source: Source) -> Path:
    """Raises InvalidParameter where there is no folder of pictures."""
    if not isinstance(source, FolderSource):
        raise InvalidParameter("--watch follows a folder of pictures alone; build other places by a timer.")
    return Path(source.address)


def _watch(images: Path, options: argparse.Namespace, make: Callable[[], None], fail: Callable[[str], int]) -> None:
    """Until Ctrl-C, which is how it is meant to end."""
    from indexer.watch import watch_folder

    try:
        watch_folder(images, options.index, make, fail)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped watching.\n")


def _descriptions(options: argparse.Namespace, load_captioner: Callable[[str], "Captioner"]) -> Descriptions:
    given: dict[str, Description] = {}
    has_file = options.captions is not None and Path(options.captions).is_file()
    for file in ([Path(options.captions)] if has_file else []) + ([options.metadata] if options.metadata else []):
        for path, description in read_descriptions(file).items():
            given[path] = given.get(path, Description()).with_later(description)
    captioner = load_captioner(options.captions) if options.captions is not None and not has_file else None
    return Descriptions(given, captioner)
