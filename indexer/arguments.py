"""The options of the command line.

Nothing heavy is imported here: each command names its function as "module:function", and only that module is imported.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from imagetext.index.kinds import AUTO, KINDS, IndexOptions
from imagetext.index.remote.location import MILVUS_INDEXES, Location, parse_location
from imagetext.wire.errors import InvalidParameter

ENGINES = Path("data/engines")
FILES, TAR, PARQUET = "files", "tar", "parquet"  # how pictures are stored in a place
FORMATS = (AUTO, FILES, TAR, PARQUET)
LAYOUTS = ("clip-retrieval", "parquet")  # of an exported collection
SHARD_SIZE = 100_000  # pictures in a file of an export
MOST_LABELS, THRESHOLD = 3, 0.5  # of a picture, and the smallest probability of one

T = TypeVar("T")

_UNITS = {"": 1, "b": 1} | {
    f"{letter}{rest}": base**power
    for power, letter in enumerate("kmgt", start=1)
    for rest, base in (("", 1000), ("b", 1000), ("ib", 1024))
}
_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parser() -> argparse.ArgumentParser:
    """Every command sets `run`, and `resumes`: whether it continues where it was interrupted."""
    whole = argparse.ArgumentParser(prog="python -m indexer", description="Build and manage the versions of an index.")
    whole.set_defaults(resumes=True)
    commands = whole.add_subparsers(dest="command", required=True)
    index = argparse.ArgumentParser(add_help=False)
    index.add_argument("--index", type=folder, required=True, metavar="DIR", help="folder of the index")
    index.add_argument("--json", action="store_true", help="write the outcome as one line of JSON")
    _add_build(commands)
    _add_exchange(commands, index)
    _add_versions(commands, index)
    _add_transfer(commands, index)
    _add_measure(commands)
    return whole


def _add_build(commands: Any) -> None:
    build = commands.add_parser("build", help="index pictures as a new version")
    build.set_defaults(run="indexer.build_command:build_command")
    build.add_argument(
        "--index", type=parsed(parse_location), required=True, metavar="DIR", help="a folder, or s3://..."
    )
    build.add_argument("--work", type=Path, metavar="DIR", help="where versions for a store are built")
    build.add_argument("--images", required=True, metavar="DIR", help="a folder, tar or parquet files, s3://bucket/...")
    build.add_argument("--format", choices=FORMATS, default=AUTO, help="how the pictures are stored (auto)")
    build.add_argument("--on", type=_cluster, metavar="ray[=ADDRESS]", help="encode on a Ray cluster")
    build.add_argument("--model", default="models/retrieval", help="the encoder: a folder, or a CLIP of a model hub")
    build.add_argument(
        "--engines", type=Path, default=ENGINES, metavar="DIR", help="exported models and chosen engines"
    )
    build.add_argument("--exported", type=Path, metavar="DIR", help="exported models in an image, read-only")
    build.add_argument("--json", action="store_true", help="write the summary as one line of JSON")
    build.add_argument("--captions", metavar="FILE|MODEL", help="captions to store; a model captions what has none")
    build.add_argument("--metadata", type=Path, metavar="FILE", help="JSON lines with path, tags, captions, taken")
    build.add_argument(
        "--labels",
        nargs="?",
        type=positive,
        const=MOST_LABELS,
        metavar="K",
        help="tag pictures with up to K labels of the model (3)",
    )
    build.add_argument(
        "--label-threshold",
        type=_probability,
        default=THRESHOLD,
        metavar="P",
        help="smallest probability of a label (0.5)",
    )
    build.add_argument("--watch", action="store_true", help="keep running, and build again when the folder changes")
    _add_wanted(build)


def _add_exchange(commands: Any, index: argparse.ArgumentParser) -> None:
    collection = argparse.ArgumentParser(add_help=False)
    collection.set_defaults(run="indexer.exchange.importing:import_", resumes=False, layout=None)
    collection.set_defaults(trust=False, kind=None, target_recall=None, max_memory=None)
    collection.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR", help="the collection")
    collection.add_argument("--model", required=True, help="the encoder that made the vectors, for searches by words")
    come = commands.add_parser("import", parents=[index, collection], help="index a collection by its own vectors")
    come.add_argument("--images", type=Path, metavar="DIR", help="where its pictures are, or are to be written")
    come.add_argument("--trust", action="store_true", help="do not check that the vectors are the model's")
    _add_wanted(come)
    table = commands.add_parser(
        "import-embeddings", parents=[index, collection], help="`import` of a data set that carries its pictures"
    )
    table.set_defaults(layout="table")
    table.add_argument("--pictures", dest="images", type=Path, required=True, metavar="DIR", help="where to write them")
    go = commands.add_parser("export", parents=[index], help="write a version's vectors and rows for other programs")
    go.set_defaults(run="indexer.exchange.exporting:export_", resumes=False)
    go.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    go.add_argument("--format", choices=LAYOUTS, default=LAYOUTS[0], help=f"the layout of the files ({LAYOUTS[0]})")
    go.add_argument("--version", metavar="VERSION", help="the current one by default")
    go.add_argument("--dtype", choices=("float16", "float32"), help="float16 for clip-retrieval, else float32")
    go.add_argument("--shard-size", type=positive, default=SHARD_SIZE, metavar="N", help="pictures per file (100000)")
    go.add_argument("--model", help="also write vectors of the captions by this model (clip-retrieval)")


def _add_versions(commands: Any, index: argparse.ArgumentParser) -> None:
    def add(name: str, help: str) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, parents=[index], help=help)
        command.set_defaults(run=f"indexer.version_commands:{name}")
        return command

    add("versions", "list the versions; * marks the current one")
    skipped = add("skipped", "list the files that a version left out, and why")
    skipped.add_argument("version", nargs="?", metavar="VERSION", help="the current one by default")
    verify = add("verify", "check every byte of a version, or of all versions and the journal")
    verify.add_argument("version", nargs="?", metavar="VERSION", help="all of them by default")
    publish = add("publish", "make another version the current one")
    publish.add_argument("version", metavar="VERSION", help="a name that `versions` lists")
    add("rollback", "publish the version before the current one")
    prune = add("prune", "remove all but the newest versions and the current one")
    prune.add_argument("--keep", type=positive, default=3, metavar="N", help="how many of the newest stay (3)")


def _add_transfer(commands: Any, index: argparse.ArgumentParser) -> None:
    push = commands.add_parser("push", parents=[index], help="copy a version to a store, and publish it there")
    push.set_defaults(run="indexer.transfer_commands:push_to")
    push.add_argument(
        "--to", type=parsed(parse_location), required=True, metavar="ADDRESS", help="s3://... or milvus+http://..."
    )
    push.add_argument("--again", action="store_true", help="send files even if the store seems to have them")
    push.add_argument(
        "--milvus-index", choices=MILVUS_INDEXES, default=MILVUS_INDEXES[0], help="Milvus's kind of index"
    )
    push.add_argument("--keep", type=positive, metavar="N", help="remove all versions there but the newest N")
    pull = commands.add_parser("pull", parents=[index], help="copy a version from a store, and publish it here")
    pull.set_defaults(run="indexer.transfer_commands:pull_from")
    pull.add_argument("--from", dest="source", type=parsed(parse_location), required=True, metavar="ADDRESS")
    for command in (push, pull):
        command.add_argument("version", nargs="?", metavar="VERSION", help="the current one by default")


def _add_measure(commands: Any) -> None:
    measure = commands.add_parser("measure", help="build, tune and compare the kinds of index for a collection")
    measure.set_defaults(run="indexer.measure_command:measure")
    source = measure.add_mutually_exclusive_group(required=True)
    source.add_argument("--index", type=Path, metavar="DIR", help="measure with the vectors of its current version")
    source.add_argument("--vectors", type=Path, metavar="FILE", help="or with those of an .npy file, unit rows")
    measure.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="kinds to measure (all)")
    measure.add_argument("--target-recall", type=float, default=0.98, metavar="PART", help="recall to tune for (0.98)")
    measure.add_argument("--scratch", type=Path, metavar="DIR", help="room for the largest index (the system's own)")
    measure.add_argument("--json", action="store_true", help="write one line of JSON for each kind")


def _add_wanted(command: argparse.ArgumentParser) -> None:
    command.add_argument("--kind", choices=(AUTO, *KINDS), help="kind of index; auto: by size, memory and recall")
    command.add_argument("--target-recall", type=float, metavar="PART", help="recall to tune for (0.98)")
    command.add_argument("--max-memory", type=to_bytes, metavar="BYTES", help="limit for searches: 500MB, 4GB")


def read_wanted(options: argparse.Namespace) -> IndexOptions | None:
    """None when none of the options is given. Raises InvalidParameter."""
    given = {name: getattr(options, name) for name in ("kind", "target_recall", "max_memory")}
    given = {name: value for name, value in given.items() if value is not None}
    return IndexOptions(**given) if given else None


def parsed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """`parse` with its error as argparse shows it."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except InvalidParameter as error:
            raise argparse.ArgumentTypeError(error.detail) from None

    return read


def folder(text: str) -> Path:
    """A folder of this machine. Raises ArgumentTypeError for an address."""
    place: Location = parsed(parse_location)(text)
    if not isinstance(place, Path):
        raise argparse.ArgumentTypeError(
            f"this command needs a folder, not {text}; copy the version here first: pull --from {text}"
        )
    return place


def positive(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def to_bytes(text: str) -> int:
    """4GB, 500 MB, 1.5GiB or plain bytes. Raises ArgumentTypeError."""
    written = _BYTES.fullmatch(text)
    if written is None or written[2].lower() not in _UNITS:
        raise argparse.ArgumentTypeError(f"must be a number of bytes like 500MB or 4GB, not {text!r}")
    return int(float(written[1]) * _UNITS[written[2].lower()])


def _probability(text: str) -> float:
    """Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, not {text!r}")
    return number


def _cluster(text: str) -> str:
    """ray -> "", ray=10.0.0.1:6379 -> the address. Raises ArgumentTypeError."""
    name, _, address = text.partition("=")
    if name != "ray":
        raise argparse.ArgumentTypeError(f"must be ray or ray=ADDRESS, not {text!r}")
    return address
