"""The options of the command line. Nothing heavy is imported for them: a command's own module is, once it runs."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from imagetext.index.kinds import AUTO, KINDS, IndexOptions
from imagetext.index.remote.location import MILVUS_INDEXES, Location, parse_location
from imagetext.wire.errors import InvalidParameter
from indexer.wording import positive, to_bytes

ENGINES = Path("data/engines")
FILES, TAR, PARQUET = "files", "tar", "parquet"  # how pictures lie at a place
FORMATS = (AUTO, FILES, TAR, PARQUET)
LAYOUTS = ("clip-retrieval", "parquet")  # of a collection that is exported
SHARD_SIZE = 100_000  # pictures in a file of an export

T = TypeVar("T")


def runner(options: argparse.Namespace) -> Callable[..., Any]:
    """What runs the command that was given."""
    module, _, name = options.run.partition(":")
    run: Callable[..., Any] = getattr(import_module(module), name)
    return run


def parser() -> argparse.ArgumentParser:
    """Every command sets `run`, as "module:function", and whether that is also given what opens a model."""
    whole = argparse.ArgumentParser(prog="python -m indexer", description="Make and switch the versions of an index.")
    commands = whole.add_subparsers(dest="command", required=True)
    index = argparse.ArgumentParser(add_help=False)
    index.add_argument("--index", type=folder, required=True, metavar="DIR", help="where the versions are kept")
    index.add_argument("--json", action="store_true", help="write the outcome as one line of JSON")
    _add_build(commands)
    _add_exchange(commands, index)
    _add_versions(commands, index)
    _add_transfer(commands, index)
    _add_measure(commands)
    return whole


def _add_build(commands: Any) -> None:
    make = commands.add_parser("build", help="index pictures as a new version")
    make.set_defaults(run="indexer.build_command:build_command", needs_model=False)
    make.add_argument("--index", type=parsed(parse_location), required=True, metavar="DIR", help="a folder, or s3://…")
    make.add_argument("--work", type=Path, metavar="DIR", help="where a version is made that goes to a store")
    make.add_argument("--images", required=True, metavar="DIR", help="a folder, tar or parquet files, s3://bucket/…")
    make.add_argument("--format", choices=FORMATS, default=AUTO, help="what lies there; auto: as it looks")
    make.add_argument("--on", type=_cluster, metavar="ray[=ADDRESS]", help="a Ray cluster; without it, this process")
    make.add_argument("--model", default="models/retrieval", help="the encoder: a folder, or a CLIP of a model hub")
    make.add_argument(
        "--engines", type=Path, default=ENGINES, metavar="DIR", help="exported models, and engines chosen"
    )
    make.add_argument("--exported", type=Path, metavar="DIR", help="exported models that an image carries; only read")
    make.add_argument("--json", action="store_true", help="write the summary as one line of JSON")
    make.add_argument("--captions", metavar="FILE|MODEL", help="captions to store; a model captions what has none")
    make.add_argument("--metadata", type=Path, metavar="FILE", help="JSON lines with path, tags, captions, taken")
    make.add_argument("--watch", action="store_true", help="stay, and build again when the folder changes")
    _add_wanted(make)


def _add_exchange(commands: Any, index: argparse.ArgumentParser) -> None:
    table = commands.add_parser("import-embeddings", parents=[index], help="`import` for a data set with pictures")
    table.set_defaults(run="indexer.exchange.commands:import_embeddings_", needs_model=True)
    table.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR", help="parquet or Arrow files")
    table.add_argument("--pictures", type=Path, required=True, metavar="DIR", help="where its pictures are written")
    table.add_argument("--model", required=True, help="the encoder that made the vectors; asked for words later")
    come = commands.add_parser("import", parents=[index], help="index a collection by the vectors it carries")
    come.set_defaults(run="indexer.exchange.commands:import_", needs_model=True)
    come.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR", help="the collection")
    come.add_argument("--model", required=True, help="the encoder that made the vectors; asked for words later")
    come.add_argument("--images", type=Path, metavar="DIR", help="where its pictures are now, or are to be written")
    come.add_argument("--trust", action="store_true", help="do not compare its vectors with the model's")
    _add_wanted(come)
    go = commands.add_parser("export", parents=[index], help="write a version's vectors and rows for other programs")
    go.set_defaults(run="indexer.exchange.commands:export_", needs_model=True)
    go.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    go.add_argument("--format", choices=LAYOUTS, default=LAYOUTS[0], help="clip-retrieval when left out")
    go.add_argument("--version", metavar="VERSION", help="the current one when left out")
    go.add_argument("--dtype", choices=("float16", "float32"), help="float16 for clip-retrieval, else float32")
    go.add_argument("--shard-size", type=positive, default=SHARD_SIZE, metavar="N", help="pictures a file (100000)")
    go.add_argument("--model", help="also write vectors of the captions, by this model (clip-retrieval)")


def _add_versions(commands: Any, index: argparse.ArgumentParser) -> None:
    def add(name: str, help: str) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, parents=[index], help=help)
        command.set_defaults(run=f"indexer.version_commands:{name}", needs_model=False)
        return command

    add("versions", "list the versions; * marks the current one")
    skipped = add("skipped", "list the files that a version left out, and why")
    skipped.add_argument("version", nargs="?", metavar="VERSION", help="the current one when left out")
    verify = add("verify", "read every byte of a version, or of all and the journal")
    verify.add_argument("version", nargs="?", metavar="VERSION", help="all of them when left out")
    publish = add("publish", "make another version the current one")
    publish.add_argument("version", metavar="VERSION", help="a name that `versions` lists")
    add("rollback", "publish the version before the current one")
    prune = add("prune", "remove all but the newest versions and the current one")
    prune.add_argument("--keep", type=positive, default=3, metavar="N", help="how many of the newest stay (3)")


def _add_transfer(commands: Any, index: argparse.ArgumentParser) -> None:
    push = commands.add_parser("push", parents=[index], help="copy a version to a store, and publish it there")
    push.set_defaults(run="indexer.transfer_commands:push_to", needs_model=False)
    push.add_argument(
        "--to", type=parsed(parse_location), required=True, metavar="ADDRESS", help="s3://… or milvus+http://…"
    )
    push.add_argument("--again", action="store_true", help="send also what the store seems to have")
    push.add_argument(
        "--milvus-index", choices=MILVUS_INDEXES, default=MILVUS_INDEXES[0], help="what Milvus searches with"
    )
    push.add_argument("--keep", type=positive, metavar="N", help="remove all versions there but the newest N")
    pull = commands.add_parser("pull", parents=[index], help="copy a version from a store, and publish it here")
    pull.set_defaults(run="indexer.transfer_commands:pull_from", needs_model=False)
    pull.add_argument("--from", dest="source", type=parsed(parse_location), required=True, metavar="ADDRESS")
    for command in (push, pull):
        command.add_argument("version", nargs="?", metavar="VERSION", help="the current one when left out")


def _add_measure(commands: Any) -> None:
    measure = commands.add_parser("measure", help="build, tune and compare the kinds of index for a collection")
    measure.set_defaults(run="indexer.measure_command:measure", needs_model=False)
    source = measure.add_mutually_exclusive_group(required=True)
    source.add_argument("--index", type=Path, metavar="DIR", help="measure with the vectors of its current version")
    source.add_argument("--vectors", type=Path, metavar="FILE", help="or with those of an .npy file, unit rows")
    measure.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="those to measure; all of them")
    measure.add_argument("--target-recall", type=float, default=0.98, metavar="PART", help="of the nearest (0.98)")
    measure.add_argument("--scratch", type=Path, metavar="DIR", help="room for the largest index; the system's own")
    measure.add_argument("--json", action="store_true", help="write one line of JSON for each kind")


def _add_wanted(command: argparse.ArgumentParser) -> None:
    command.add_argument("--kind", choices=(AUTO, *KINDS), help="how it is searched; auto: as size, memory, recall ask")
    command.add_argument("--target-recall", type=float, metavar="PART", help="of the nearest pictures to find (0.98)")
    command.add_argument("--max-memory", type=to_bytes, metavar="BYTES", help="that searches may need: 500MB, 4GB")


def read_wanted(options: argparse.Namespace) -> IndexOptions | None:
    """None when nothing is said. Raises InvalidParameter."""
    said = {name: getattr(options, name) for name in ("kind", "target_recall", "max_memory")}
    said = {name: value for name, value in said.items() if value is not None}
    return IndexOptions(**said) if said else None


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
            f"this command works in a folder; bring the version here first: pull --from {text}"
        )
    return place


def _cluster(text: str) -> str:
    """ray -> "", ray=10.0.0.1:6379 -> the address. Raises ArgumentTypeError."""
    name, _, address = text.partition("=")
    if name != "ray":
        raise argparse.ArgumentTypeError(f"{text!r} is neither ray nor ray=ADDRESS")
    return address
