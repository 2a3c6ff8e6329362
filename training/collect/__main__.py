"""Makes the custom set: python -m training.collect sentences | pictures | report | review | export

docs/custom-set.md goes through a whole collection. Every command goes on where it was stopped.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from imagetext.wire.errors import ImageTextError
from training.collect import commands
from training.collect.commands import GRAMMAR, HERE


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 not possible, 130 interrupted."""
    options = _parse(arguments)
    options.say = partial(_say, sys.stderr)
    try:
        _say(sys.stdout, options.run(options))
    except ImageTextError as error:
        _say(sys.stderr, error.detail)
        return 1
    except OSError as error:
        _say(sys.stderr, f"{error.strerror or 'Reading or writing failed'}: {error.filename or 'the collection'}")
        return 1
    except KeyboardInterrupt:
        _say(sys.stderr, "Interrupted. The same command goes on from here.")
        return 130
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.collect", description="Make the custom set.")
    commands_of = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_sentences(commands_of.add_parser("sentences", help="gather sentences"))
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("--folder", type=Path, required=True, metavar="DIR", help="the collection")
    _add_pictures(commands_of.add_parser("pictures", parents=[folder], help="find pictures for sentences"))
    report = commands_of.add_parser("report", parents=[folder], help="what was found, what was lost and why")
    report.add_argument("--json", action="store_true", help="one line of JSON")
    report.set_defaults(run=commands.report)
    review = commands_of.add_parser("review", parents=[folder], help="serve the review page on this machine")
    review.add_argument("--port", type=int, default=8765, help="0 takes a free one (default 8765)")
    review.set_defaults(run=commands.review)
    export = commands_of.add_parser("export", parents=[folder], help="write what was accepted as a data set")
    export.add_argument("--into", type=Path, required=True, metavar="DIR", help="folder of the data set")
    export.add_argument("--dev", type=float, default=0.1, help="share of the dev split (default 0.1)")
    export.add_argument("--test", type=float, default=0.0, help="share of the test split (default 0)")
    export.set_defaults(run=commands.export_accepted)
    return parser.parse_args(arguments)


def _add_sentences(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON lines; what is there is kept")
    parser.add_argument("--number", type=_positive, required=True, help="sentences that the file will hold")
    parser.add_argument("--grammar", action="store_true", help="from the offline grammar, without a language model")
    parser.add_argument("--rules", type=Path, default=GRAMMAR, help="with --grammar: the rules (default grammar.toml)")
    parser.add_argument("--seed", type=int, default=1, help="with --grammar: another seed, other sentences")
    parser.add_argument("--settings", type=Path, default=HERE / "sentences.toml", help="prompt, topics, prices")
    parser.add_argument("--address", help="base address of the interface, over the settings")
    parser.add_argument("--model", help="over the settings")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between requests (default 0.2)")
    parser.add_argument("--yes", action="store_true", help="the cost is all right, start")
    parser.set_defaults(run=commands.collect_sentences)


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sentences", type=Path, required=True, metavar="FILE", help="JSON lines with a `text` each")
    parser.add_argument(
        "--provider", default="commons", help="commons (default), openverse, or the TOML file of a search page"
    )
    parser.add_argument("--contact", help="your mail or web address, for commons and openverse")
    parser.add_argument("--address", help="another address of the interface")
    parser.add_argument("--each", type=_positive, default=1, help="pictures for a sentence (default 1)")
    parser.add_argument("--candidates", type=_positive, default=5, help="results to look at (default 5)")
    parser.add_argument("--min-side", type=_positive, default=200, help="pixels of the shorter side (default 200)")
    parser.add_argument("--max-megabytes", type=float, default=10.0, help="of a picture's file (default 10)")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between requests to a host (default 1)")
    parser.add_argument("--again", action="store_true", help="search again for sentences without a picture")
    parser.add_argument("--browser", type=Path, help="the Chromium to use (default: on the PATH)")
    parser.add_argument("--driver", type=Path, help="its chromedriver (default: on the PATH)")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")
    parser.set_defaults(run=commands.collect_pictures)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _say(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
