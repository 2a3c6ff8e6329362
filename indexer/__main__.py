"""The command line: `python -m indexer build --images DIR --index DIR`."""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from imagetext.machine import keep_freed_memory
from imagetext.wire.errors import ImageTextError
from indexer.arguments import ENGINES, parser
from indexer.reports import Context, error_sentence, printable

if TYPE_CHECKING:
    from imagetext.models.captioner.engine import Captioner
    from imagetext.models.encoder.engine import Encoder


def main(
    arguments: Sequence[str] | None = None,
    *,
    load: Callable[[str], "Encoder"] | None = None,
    load_captioner: Callable[[str], "Captioner"] | None = None,
) -> int:
    """Run one command and return the exit status, 0 or 1. `load` opens the model that --model names, `load_captioner`
    that of --captions."""
    options = parser().parse_args(arguments)
    engines = _absolute(getattr(options, "engines", ENGINES)), _absolute(getattr(options, "exported", None))
    context = Context(
        partial(_say, sys.stdout),
        _fail,
        load or partial(_load_encoder, engines),
        load_captioner or partial(_load_captioner, engines),
    )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # process 1 of a container has no default
    keep_freed_memory()
    module, _, name = options.run.partition(":")
    try:
        run: Callable[..., int] = getattr(import_module(module), name)
        return run(options, context)
    except KeyboardInterrupt:
        hint = "Run the same command again to continue." if options.resumes else "It left nothing behind."
        return _fail(f"Interrupted. {hint}")
    except (ImageTextError, OSError, sqlite3.Error) as error:
        return _fail(error_sentence(error))
    finally:
        signal.signal(signal.SIGTERM, before)


def _absolute(path: Path | None) -> Path | None:
    """The processes of a cluster may run in another folder."""
    return None if path is None else Path(os.path.abspath(path))


def _load_encoder(folders: tuple[Path | None, Path | None], source: str) -> "Encoder":
    from imagetext.engines import Engines
    from imagetext.models.encoder.engine import load_encoder
    from indexer.encode import STREAMS

    return load_encoder(source, Engines(folders[0], streams=STREAMS, exported=folders[1]))


def _load_captioner(folders: tuple[Path | None, Path | None], source: str) -> "Captioner":
    from imagetext.engines import Engines
    from imagetext.models.captioner.engine import load_captioner

    return load_captioner(source, Engines(folders[0], exported=folders[1]))


def _fail(sentence: str) -> int:
    _say(sys.stderr, printable(sentence))
    return 1


def _say(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()  # with --watch the process stays, and its reader must not wait for the buffer to fill


if __name__ == "__main__":
    sys.exit(main())
