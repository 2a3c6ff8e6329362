"""Draws a folder of illustrated scenes with captions: python -m gallery --out DIR --number 300 --seed 1"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from gallery.choice import MOST
from gallery.writer import Order, is_complete, write_gallery
from imagetext.wire.errors import ImageTextError, InvalidParameter, Unavailable


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidParameter(f"{message[0].upper()}{message[1:]}; see --help.")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked.

    Raises:
        InvalidParameter: an option is unknown, missing or out of range.
    """
    parser = _Parser(prog="gallery", description="Draw illustrated scenes with captions, laid out like Flickr8k.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; created if missing")
    parser.add_argument("--number", type=int, default=300, help=f"scenes to draw, 1 to {MOST} (default 300)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the scenes (default 1)")
    parser.add_argument("--split", action="store_true", help="also write trainImages.txt")
    parser.add_argument(
        "--dev", type=int, default=0, help="with --split: number of scenes, from the end, for devImages.txt"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="drawing processes (default: all cores)"
    )
    options = parser.parse_args(arguments)
    problem = _problem(options)
    if problem:
        raise InvalidParameter(problem)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 on success, 1 on an error, 130 if interrupted."""
    try:
        _draw(parse_arguments(arguments))
    except ImageTextError as error:
        return _fail(error.detail)
    except KeyboardInterrupt:
        print("Interrupted; run the same command again to continue.", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def _draw(options: argparse.Namespace) -> None:
    order = Order(options.number, options.seed, options.split, options.dev)
    if is_complete(options.out, order):
        print(f"{options.out} already holds these {order.number} scenes.", file=sys.stderr)  # noqa: T201
        return
    drawn = write_gallery(options.out, order, options.processes)
    try:
        with tqdm(total=order.number, unit="scene", disable=not sys.stderr.isatty()) as bar:
            for done in drawn:
                bar.update(done - bar.n)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise Unavailable(f"The folder {options.out} is not writable: {reason}.") from error


def _problem(options: argparse.Namespace) -> str | None:
    if options.processes < 1:
        return f"--processes must be at least 1, not {options.processes}."
    if options.dev and not options.split:
        return "--dev needs --split."
    if options.dev and not 0 < options.dev < options.number:
        return f"--dev must be between 1 and {options.number - 1}, not {options.dev}."
    return None


def _fail(message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
