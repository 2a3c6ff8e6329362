"""A build whose index is not on this machine: made in a folder here, then sent."""

from collections.abc import Callable
from pathlib import Path

from imagetext.index import current_version
from imagetext.index.object_store import ObjectStore
from imagetext.index.places import Place, StoreAddress, folder_name
from indexer.summary import Summary
from indexer.transfer_commands import pull_version, push_version

WORK = Path("data/index-work")


def build_at(place: Place, work: Path | None, build: Callable[[Path], Summary]) -> Summary:
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
