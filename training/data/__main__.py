"""The command line of `python -m training.data`, for instance `statistics DIR`; --help lists the commands."""

import argparse
import asyncio
import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from imagetext.pictures import Limits
from imagetext.wire.errors import ImageTextError
from imagetext.wire.guarded_transport import is_public
from training.data.admission import Admission
from training.data.conceptual import Collection, Rows, collect
from training.data.fetch import FetchLimits, Politeness
from training.data.flickr8k import Origin, find_flickr8k, import_flickr8k
from training.data.records import Shares, read_records
from training.data.sets import find_damage, find_leaks, merge, statistics_of, write_shards


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.data", description="Make, merge and check data sets.")
    commands = parser.add_subparsers(dest="command", required=True)
    into = _shared("--into", type=Path, required=True, metavar="DIR", help="the data set to write")
    folder = _shared("folder", type=Path, metavar="DIR", help="a data set in the merged format")
    copy = _shared("--copy", action="store_true", help="copy the pictures instead of linking to them")
    _add_flickr8k(commands.add_parser("flickr8k", parents=[into, copy], help="import Flickr8k"))
    _add_conceptual(commands.add_parser("conceptual", parents=[into], help="collect Conceptual Captions"))
    merge = commands.add_parser("merge", parents=[into, copy], help="join data sets; the one at --into comes first")
    merge.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="data sets in the merged format")
    statistics = commands.add_parser("statistics", parents=[folder], help="a data set in numbers")
    statistics.add_argument("--json", action="store_true", help="one line of JSON")
    check = commands.add_parser(
        "check", parents=[folder], help="is a picture, or one that looks like it, in two splits"
    )
    check.add_argument("--files", action="store_true", help="also read every picture and compare it with the table")
    commands.add_parser("shards", parents=[folder, into], help="write tar files of 1000 pictures each")
    return parser.parse_args(arguments)


def collection_of(options: argparse.Namespace) -> Collection:
    """Raises InvalidParameter for shares or sizes that no run can have."""
    return Collection(
        admission=Admission(min_side=options.min_side, side=options.side, limits=Limits(max_bytes=options.max_bytes)),
        limits=FetchLimits(
            max_bytes=options.max_bytes,
            max_seconds=options.max_seconds,
            max_redirects=options.max_redirects,
            attempts=options.attempts,
            wait_s=options.wait,
            at_once=options.at_once,
        ),
        politeness=Politeness(at_once=options.per_host, pause_s=options.pause, max_wait_s=options.max_wait),
        shares=Shares(options.dev, options.test),
        is_allowed=(lambda ip: True) if options.allow_private else is_public,
        contact=options.contact,
    )


def _add_flickr8k(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="given", type=Path, required=True, metavar="DIR", help="Flickr8k as it came")
    parser.add_argument("--karpathy", type=Path, metavar="FILE", help="dataset_flickr8k.json, if it lies elsewhere")
    parser.add_argument("--allow-missing", action="store_true", help="leave out listed pictures that are not there")
    parser.add_argument("--source", metavar="NAME", help="for another data set in the same layout: what it is called")
    parser.add_argument("--licence", default="", metavar="TEXT", help="with --source: what it may be used for")


def _add_conceptual(parser: argparse.ArgumentParser) -> None:
    at_least_one, seconds = _number(int, 1), _number(float, 0)
    limits, hosts, admission, splits = FetchLimits(), Politeness(), Admission(), Shares()
    add = parser.add_argument
    add("--tsv", type=Path, nargs="+", required=True, metavar="FILE", help="lines of CAPTION<TAB>ADDRESS")
    add("--limit", type=at_least_one, metavar="N", help="only the first N lines")
    add("--again", action="store_true", help="ask again where the failure may have passed")
    add("--contact", default="", metavar="TEXT", help="address or page for the hosts' owners, sent as User-Agent")
    add("--shards", action="store_true", help="write tar files too, to DIR/shards")
    add("--allow-private", action="store_true", help="also addresses in private networks")
    add("--at-once", type=at_least_one, default=limits.at_once, help="requests at once (%(default)s)")
    add("--per-host", type=at_least_one, default=hosts.at_once, help="requests at once to one host (%(default)s)")
    add("--pause", type=seconds, default=hosts.pause_s, help="seconds between requests to one host (%(default)s)")
    add("--max-wait", type=seconds, default=hosts.max_wait_s, help="longest Retry-After that is obeyed (%(default)s)")
    add("--max-bytes", type=at_least_one, default=limits.max_bytes, help="of one picture (%(default)s)")
    add("--max-seconds", type=seconds, default=limits.max_seconds, help="for one download (%(default)s)")
    add("--max-redirects", type=_number(int, 0), default=limits.max_redirects, help="in one download (%(default)s)")
    add("--attempts", type=at_least_one, default=limits.attempts, help="at one address (%(default)s)")
    add("--wait", type=seconds, default=limits.wait_s, help="seconds before the second attempt (%(default)s)")
    add("--min-side", type=at_least_one, default=admission.min_side, help="pixels of the shorter side (%(default)s)")
    add("--side", type=at_least_one, metavar="N", help="scale larger pictures to N pixels on the shorter side")
    add("--dev", type=float, default=splits.dev, help="share of the dev split (%(default)s)")
    add("--test", type=float, default=splits.test, help="share of the test split (%(default)s)")


def _shared(*names: str, **settings: object) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(*names, **settings)  # type: ignore[arg-type]
    return parser


def _number(kind: Callable[[str], float], least: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number


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
