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

from imagetext.errors import ImageTextError, InvalidParameter
from imagetext.index.places import place_of
from imagetext.memory import keep_freed_memory
from indexer.build import build
from indexer.build_away import build_at
from indexer.description_files import read_descriptions
from indexer.descriptions import Description, Descriptions
from indexer.distributed.on_ray import OnRay
from indexer.exchange.commands import add_commands as add_exchange
from indexer.measure_command import add_command
from indexer.places import folder, parsed
from indexer.scan import require_folder
from indexer.sources import AUTO, FORMATS, FolderSource, Source, open_source
from indexer.summary import Summary
from indexer.transfer_commands import add_transfer_commands
from indexer.version_commands import add_commands
from indexer.wanted import add_wanted, read_wanted
from indexer.wording import printable

if TYPE_CHECKING:
    from imagetext.captioner.engine import Captioner
    from imagetext.encoder.engine import Encoder


ENGINES = Path("data/engines")


def main(
    arguments: Sequence[str] | None = None,
    *,
    load: Callable[[str], "Encoder"] | None = None,
    load_captioner: Callable[[str], "Captioner"] | None = None,
) -> int:
    """Run one command and return the exit status, 0 or 1. `load` opens the model that --model names, `load_captioner`
    that of --captions."""
    options = _parse(arguments)
    engines = _absolute(getattr(options, "engines", None))
    load, load_captioner = load or partial(_load_encoder, engines), load_captioner or partial(_load_captioner, engines)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # process 1 of a container has no default
    keep_freed_memory()
    try:
        if options.command == "build":
            _build(options, load, load_captioner)
        elif options.command == "import-embeddings":
            _import(options, load)
        elif hasattr(options, "run_with_model"):
            options.run_with_model(options, load, partial(_say, sys.stdout))
        else:
            return int(options.run(options, partial(_say, sys.stdout)))
    except ImageTextError as error:
        return _fail(error.detail)
    except KeyboardInterrupt:
        again = "Nothing is left of it" if hasattr(options, "run_with_model") else "The same command goes on from here"
        return _fail(f"Interrupted. {again}.")
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
    index.add_argument("--index", type=folder, required=True, metavar="DIR", help="where the versions are kept")
    make = commands.add_parser("build", help="index pictures as a new version")
    make.add_argument("--index", type=parsed(place_of), required=True, metavar="DIR", help="a folder, or s3://…")
    make.add_argument("--work", type=Path, metavar="DIR", help="where a version is made that goes to a store")
    make.add_argument("--images", required=True, metavar="DIR", help="a folder, tar or parquet files, s3://bucket/…")
    make.add_argument("--format", choices=FORMATS, default=AUTO, help="what lies there; auto: as it looks")
    make.add_argument("--on", type=_place, metavar="ray[=ADDRESS]", help="a Ray cluster; without it, this process")
    make.add_argument("--model", default="models/retrieval", help="the encoder: a folder, or a CLIP of a model hub")
    make.add_argument("--engines", type=Path, default=ENGINES, metavar="DIR", help="keeps what is exported for here")
    make.add_argument("--json", action="store_true", help="write the summary as one line of JSON")
    add_wanted(make)
    make.add_argument("--captions", metavar="FILE|MODEL", help="captions to store; a model captions what has none")
    make.add_argument("--metadata", type=Path, metavar="FILE", help="JSON lines with path, tags, captions, taken")
    make.add_argument("--watch", action="store_true", help="stay, and build again when the folder changes")
    taken = commands.add_parser("import-embeddings", parents=[index], help="`import` for a data set with pictures")
    taken.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR", help="parquet or Arrow files")
    taken.add_argument("--pictures", type=Path, required=True, metavar="DIR", help="where its pictures are written")
    taken.add_argument("--model", required=True, help="the encoder that made the vectors; asked for words later")
    taken.add_argument("--json", action="store_true", help="write the summary as one line of JSON")
    add_exchange(commands, index)
    add_commands(commands, index)
    add_transfer_commands(commands)
    add_command(commands)
    return parser.parse_args(arguments)


def _build(
    options: argparse.Namespace, load: Callable[[str], "Encoder"], load_captioner: Callable[[str], "Captioner"]
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
        _say(sys.stdout, summary.to_json() if options.json else summary.to_text())

    if watched is not None:
        _watch(watched, options, make)
    else:
        make()


def _pipeline(options: argparse.Namespace, index: Path, load: Callable[[str], "Encoder"]) -> OnRay | None:
    if options.on is None:
        return None
    model = os.path.abspath(options.model) if os.path.exists(options.model) else options.model
    return OnRay(index, partial(load, model), options.on or None)


def _place(text: str) -> str:
    """ray -> "", ray=10.0.0.1:6379 -> the address. Raises ArgumentTypeError."""
    name, _, address = text.partition("=")
    if name != "ray":
        raise argparse.ArgumentTypeError(f"{text!r} is neither ray nor ray=ADDRESS")
    return address


def _watched(source: Source) -> Path:
    """Raises InvalidParameter where there is no folder of pictures."""
    if not isinstance(source, FolderSource):
        raise InvalidParameter("--watch follows a folder of pictures alone; build other places by a timer.")
    return Path(source.address)


def _watch(images: Path, options: argparse.Namespace, make: Callable[[], None]) -> None:
    """Until Ctrl-C, which is how it is meant to end."""
    from indexer.watch import watch_folder

    try:
        watch_folder(images, options.index, make, _fail)
    except KeyboardInterrupt:
        _say(sys.stderr, "Stopped watching.")


def _descriptions(options: argparse.Namespace, load_captioner: Callable[[str], "Captioner"]) -> Descriptions:
    given: dict[str, Description] = {}
    has_file = options.captions is not None and Path(options.captions).is_file()
    for file in ([Path(options.captions)] if has_file else []) + ([options.metadata] if options.metadata else []):
        for path, description in read_descriptions(file).items():
            given[path] = given.get(path, Description()).with_later(description)
    captioner = load_captioner(options.captions) if options.captions is not None and not has_file else None
    return Descriptions(given, captioner)


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
    from indexer.encode import STREAMS

    return load_encoder(source, Engines(engines, streams=STREAMS) if engines else None)


def _load_captioner(engines: Path | None, source: str) -> "Captioner":
    from imagetext.captioner.engine import load_captioner  # as above
    from imagetext.engines import Engines

    return load_captioner(source, Engines(engines) if engines else None)


def _fail(sentence: str) -> int:
    _say(sys.stderr, printable(sentence))
    return 1


def _say(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()  # a watching process goes on, and its reader waits


if __name__ == "__main__":
    sys.exit(main())
