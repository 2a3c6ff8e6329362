"""The command line: `python -m indexer build --images DIR --index DIR`."""

import argparse
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from imagetext.errors import ImageTextError
from imagetext.index import Wanted
from imagetext.index.kinds import AUTO, KINDS
from indexer.build import build
from indexer.distributed.on_ray import OnRay
from indexer.measure_command import add_command
from indexer.scan import require_folder
from indexer.sizes import to_bytes
from indexer.sources import AUTO as AUTO_FORMAT
from indexer.sources import FORMATS, open_source
from indexer.version_commands import add_commands
from indexer.wording import printable

if TYPE_CHECKING:
    from imagetext.encoder.engine import Encoder


ENGINES = Path("data/engines")


def main(arguments: Sequence[str] | None = None, *, load: Callable[[str], "Encoder"] | None = None) -> int:
    """Run one command and return the exit status, 0 or 1. `load` opens the model that --model names."""
    options = _parse(arguments)
    load = load or partial(_load_encoder, _absolute(getattr(options, "engines", None)))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # process 1 of a container has no default
    try:
        if options.command == "build":
            _build(options, load)
        elif options.command == "import-embeddings":
            _import(options, load)
        else:
            return int(options.run(options, partial(_say, sys.stdout)))
    except ImageTextError as error:
        return _fail(error.detail)
    except KeyboardInterrupt:
        return _fail("Interrupted. The same command goes on from here.")
    except OSError as error:
        return _fail(f"{error.strerror or 'Reading or writing failed'}: {error.filename or 'the index'}")
    except sqlite3.Error:
        return _fail("The index's work file cannot be used. If the disk is not full, delete the index's folder work.")
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m indexer", description="Make and switch the versions of an index.")
    commands = parser.add_subparsers(dest="command", required=True)
    index = argparse.ArgumentParser(add_help=False)
    index.add_argument("--index", type=Path, required=True, metavar="DIR", help="where the versions are kept")
    make = commands.add_parser("build", parents=[index], help="index a folder of pictures as a new version")
    make.add_argument("--images", required=True, metavar="DIR", help="a folder, tar or parquet files, s3://bucket/...")
    make.add_argument("--format", choices=FORMATS, default=AUTO_FORMAT, help="what lies there; auto: as it looks")
    make.add_argument(
        "--on", type=_place, metavar="ray[=ADDRESS]", help="a Ray cluster; without it, this process alone"
    )
    make.add_argument("--model", default="models/retrieval", help="the encoder: a folder, or a CLIP of a model hub")
    make.add_argument("--engines", type=Path, default=ENGINES, metavar="DIR", help="keeps what is exported for here")
    make.add_argument("--json", action="store_true", help="write the summary as one line of JSON")
    make.add_argument("--kind", choices=(AUTO, *KINDS), help="how it is searched; auto: as size, memory and recall ask")
    make.add_argument("--target-recall", type=float, metavar="PART", help="of the nearest pictures to find (0.98)")
    make.add_argument("--max-memory", type=to_bytes, metavar="BYTES", help="that searches may need: 500MB, 4GB")
    taken = commands.add_parser("import-embeddings", parents=[index], help="index a data set by the vectors it carries")
    taken.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR", help="parquet or Arrow files")
    taken.add_argument("--pictures", type=Path, required=True, metavar="DIR", help="where its pictures are written")
    taken.add_argument("--model", required=True, help="the encoder that made the vectors; asked for words later")
    taken.add_argument("--json", action="store_true", help="write the summary as one line of JSON")
    add_commands(commands, index)
    add_command(commands)
    return parser.parse_args(arguments)


def _build(options: argparse.Namespace, load: Callable[[str], "Encoder"]) -> None:
    wanted = _wanted(options)
    source = open_source(options.images, options.format)  # before the model is loaded, which takes seconds
    encode = None
    if options.on is not None:
        model = os.path.abspath(options.model) if os.path.exists(options.model) else options.model
        encode = OnRay(options.index, partial(load, model), options.on or None)
    summary = build(source, options.index, load(options.model), wanted, encode=encode)
    _say(sys.stdout, summary.to_json() if options.json else summary.to_text())


def _place(text: str) -> str:
    """ray -> "", ray=10.0.0.1:6379 -> the address. Raises ArgumentTypeError."""
    name, _, address = text.partition("=")
    if name != "ray":
        raise argparse.ArgumentTypeError(f"{text!r} is neither ray nor ray=ADDRESS")
    return address


def _wanted(options: argparse.Namespace) -> Wanted | None:
    """None when nothing is said, which asks for what the last build was asked."""
    said = {name: getattr(options, name) for name in ("kind", "target_recall", "max_memory")}
    said = {name: value for name, value in said.items() if value is not None}
    return Wanted(**said) if said else None


def _import(options: argparse.Namespace, load: Callable[[str], "Encoder"]) -> None:
    from indexer.import_embeddings import import_embeddings

    require_folder(options.source)
    summary = import_embeddings(options.source, options.pictures, options.index, load(options.model))
    _say(sys.stdout, summary.to_json() if options.json else summary.to_text())


def _absolute(path: Path | None) -> Path | None:
    """The processes of a cluster may run in another folder."""
    return None if path is None else Path(os.path.abspath(path))


def _load_encoder(engines: Path | None, source: str) -> "Encoder":
    from imagetext.encoder.engine import load_encoder  # imports torch: not for the other commands
    from imagetext.engines import Engines

    return load_encoder(source, Engines(engines) if engines else None)


def _fail(sentence: str) -> int:
    _say(sys.stderr, printable(sentence))
    return 1


def _say(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


if __name__ == "__main__":
    sys.exit(main())
