"""Train CLIP models:

python -m training.clip scratch --photos DIR --out DIR
python -m training.clip tune --start FOLDER_OR_ID --data DIR[:WEIGHT] ... --out DIR
"""

import argparse
import sys
from collections.abc import Sequence

from imagetext.wire.errors import ImageTextError
from training.clip import scratch, tune


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status, 0 or 1."""
    parser = argparse.ArgumentParser(prog="python -m training.clip", description="Train CLIP models.")
    commands = parser.add_subparsers(dest="command", required=True)
    scratch.add_options(commands.add_parser("scratch", help="train a small CLIP from random weights"))
    tune.add_options(commands.add_parser("tune", help="fine-tune any CLIP on a mix of data sets"))
    options = parser.parse_args(arguments)
    try:
        {"scratch": scratch.run, "tune": tune.run}[options.command](options)
    except ImageTextError as error:
        sys.stderr.write(error.detail + "\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; run the same command again to continue after the last finished epoch.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
