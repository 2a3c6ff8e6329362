"""What may be asked of the index that a command makes: the same options for all of them."""

import argparse

from imagetext.index import Wanted
from imagetext.index.kinds import AUTO, KINDS
from indexer.sizes import to_bytes


def add_wanted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=(AUTO, *KINDS), help="how it is searched; auto: as size, memory, recall ask")
    parser.add_argument("--target-recall", type=float, metavar="PART", help="of the nearest pictures to find (0.98)")
    parser.add_argument("--max-memory", type=to_bytes, metavar="BYTES", help="that searches may need: 500MB, 4GB")


def read_wanted(options: argparse.Namespace) -> Wanted | None:
    """None when nothing is said. Raises InvalidParameter."""
    said = {name: getattr(options, name) for name in ("kind", "target_recall", "max_memory")}
    said = {name: value for name, value in said.items() if value is not None}
    return Wanted(**said) if said else None
