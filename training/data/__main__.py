"""The command line: `python -m training.data statistics DIR` and so on; --help lists all commands."""

import argparse
import asyncio
import json
import sqlite3
import sys
from collections.abc import Sequence

from imagetext.errors import ImageTextError
from training.data.conceptual import Rows, collect
from training.data.flickr8k import Origin, find_flickr8k, import_flickr8k
from training.data.folder import read_records
from training.data.leaks import find_damage, find_leaks
from training.data.merging import merge
from training.data.options import collection_of, parse_options
from training.data.shards import write_shards
from training.data.statistics import statistics_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 not possible or a check failed, 130 interrupted."""
    options = parse_options(arguments)
    try:
        return _COMMANDS[options.command](options)
    except ImageTextError as error:
        return _fail(error.detail)
    except KeyboardInterrupt:
        _fail("Interrupted; the same command goes on from here.")
        return 130
    except OSError as error:
        return _fail(f"{error.strerror or 'Reading or writing failed'}: {error.filename or 'the data set'}")
    except sqlite3.Error:
        return _fail("The journal of downloads cannot be written; the disk may be full.")


def _flickr8k(options: argparse.Namespace) -> int:
    found = find_flickr8k(options.given, options.karpathy)
    origin = Origin(options.source, options.licence) if options.source else Origin()
    records = import_flickr8k(found, options.into, origin, copy=options.copy, allow_missing=options.allow_missing)
    _say(statistics_of(records).to_text())
    return 0


def _conceptual(options: argparse.Namespace) -> int:
    rows = Rows(tuple(options.tsv), options.limit)
    report = asyncio.run(collect(rows, options.into, collection_of(options), again=options.again))
    if options.shards:
        write_shards(options.into, report.assembly.records, options.into / "shards")
    _say(report.to_text())
    return 0


def _merge(options: argparse.Namespace) -> int:
    merged = merge(options.into, options.folders, copy=options.copy)
    for record in merged.dropped:
        _say(f"dropped, looks like a picture held further back: {record.path} ({record.split}, {record.source})\n")
    _say(f"{merged.joined} pictures were there twice and became one.\n\n{statistics_of(merged.records).to_text()}")
    return 0


def _statistics(options: argparse.Namespace) -> int:
    found = statistics_of(read_records(options.folder))
    _say(json.dumps(found.to_dict()) + "\n" if options.json else found.to_text())
    return 0


def _check(options: argparse.Namespace) -> int:
    records = read_records(options.folder)
    problems = [str(leak) for leak in find_leaks(records)]
    if options.files:
        problems += find_damage(options.folder, records)
    _say("".join(f"{problem}\n" for problem in problems) or f"{len(records):,} pictures, none in two splits.\n")
    return 1 if problems else 0


def _shards(options: argparse.Namespace) -> int:
    written = write_shards(options.folder, read_records(options.folder), options.into)
    _say(f"{len(written)} files.\n")
    return 0


_COMMANDS = {
    "flickr8k": _flickr8k,
    "conceptual": _conceptual,
    "merge": _merge,
    "statistics": _statistics,
    "check": _check,
    "shards": _shards,
}


def _say(text: str) -> None:
    sys.stdout.write(text)


def _fail(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
