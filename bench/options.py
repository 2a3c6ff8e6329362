"""What `python -m bench` can be told."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.setting import CACHE

LATEST = Path("bench/latest.json")
GROWTH = Path("bench/growth.json")
COMMANDS = ("run", "table", "growth")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a bad one ends the process with status 2 and a sentence."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure each work against its rival.")
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="run", help="table prints the latest run")
    parser.add_argument("--quick", action="store_true", help="the speed gate: some rows, compared with those kept")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these rows; --list names them")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--out", type=Path, help=f"the report; {LATEST}, or in {CACHE} for --quick and --only")
    parser.add_argument("--infinity", type=Path, metavar="DIR", help="a virtual environment with infinity_emb")
    options = parser.parse_args(arguments)
    if options.out is None and options.command == "growth":
        options.out = GROWTH
    if options.out is None:
        partly = options.command == "run" and (options.quick or options.only)
        options.out = CACHE / LATEST.name if partly else LATEST
    return options
