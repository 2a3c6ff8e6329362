"""What the command lines in this folder share: the folders they take, and how they report an error."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from imagetext.wire.errors import ImageTextError

FOLDERS = {
    "photos": "a folder in the layout of Flickr8k",
    "drawn": "drawn scenes in the same layout",
    "open": "pictures and captions from beyond Flickr8k",
    "out": "the model folder to write",
}


def command_parser(command: str, about: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m training.COMMAND`, described by the first line of its module's docstring."""
    return argparse.ArgumentParser(prog=f"python -m training.{command}", description=(about or "").splitlines()[0])


def add_folders(parser: argparse.ArgumentParser, *required: str, optional: Sequence[str] = ()) -> None:
    """Options for some of `FOLDERS`."""
    for name in (*required, *optional):
        parser.add_argument(f"--{name}", type=Path, required=name in required, help=FOLDERS[name])


def add_run(
    parser: argparse.ArgumentParser,
    config: Path,
    work: str | None,
    cache: str = ".cache/features",
    shown: str | None = None,
) -> None:
    """Options of a training run: its settings, and where it keeps features, checkpoints and the log.

    `shown` describes the default of --work if it depends on other options.
    """
    parser.add_argument("--config", type=Path, default=config, help=f"settings (default {config.name})")
    parser.add_argument("--cache", type=Path, default=Path(cache), help=f"folder for features (default {cache})")
    parser.add_argument(
        "--work", type=Path, default=Path(work) if work else None, help=f"checkpoints and log (default {shown or work})"
    )


def exit_status(run: Callable[[], None]) -> int:
    """0, or 1 with a sentence on standard error if the run fails."""
    try:
        run()
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    return 0
