"""`python -m bench`: measure and compare. Exit status 1 if a threshold is missed or, with --quick, a ratio fell."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.machine import describe, instruction_set_here, warn_if_busy
from bench.report import LATEST, CannotResume, Places, Recording, Report, judge, judge_quick, kept_reports
from bench.row import CACHE, Row, Setting, quiet
from bench.runner import measure
from bench.tables import PAGE, markdown, table, write_into
from imagetext.machine import keep_freed_memory

INTERRUPTED = 130
GROWTH = Path("bench/growth.json")
COMMANDS = ("run", "table", "growth")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    options = parse(arguments)
    if options.command == "table":
        return _table(write=options.write)
    quiet()
    if options.command == "growth":
        from bench.growth import grow

        return grow(Setting(options.quick), options.out or (CACHE / GROWTH.name if options.quick else GROWTH))
    instruction_set = instruction_set_here()
    rows = _chosen(options, instruction_set)
    if options.list:
        sys.stdout.writelines(f"{row.name:20} {row.work}\n" for row in rows)
        return 0
    setting = Setting(options.quick, infinity=options.infinity)
    return run(rows, setting, places(options, instruction_set), resume=options.resume)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; an invalid one exits with status 2 and a message."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure each task against its rival.")
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="run", help="table prints the kept runs")
    parser.add_argument("--quick", action="store_true", help="the speed gate: a few rows, compared with the kept run")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these rows; see --list")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_argument("--list", action="store_true", help="list the rows and exit")
    parser.add_argument("--write", action="store_true", help=f"with table: write into {PAGE}")
    parser.add_argument(
        "--out", type=Path, help=f"the report (default: in {LATEST}; with --quick or --only in {CACHE})"
    )
    parser.add_argument("--infinity", type=Path, metavar="DIR", help="a virtual environment with infinity_emb")
    options = parser.parse_args(arguments)
    if options.out and options.out.resolve().parent == LATEST.resolve():
        parser.error(f"{LATEST} is reserved for whole runs, without --out, --quick and --only")
    return options


def places(options: argparse.Namespace, instruction_set: str) -> Places:
    """Where the run is written; only a whole run joins the kept ones."""
    if options.out:
        return Places.at(options.out)
    if options.only or options.quick:
        return Places.at(CACHE / ("only.json" if options.only else "quick.json"))
    return Places.kept(instruction_set)


def run(rows: Sequence[Row], setting: Setting, into: Places, *, resume: bool = False) -> int:
    """Measure the rows, record each result at once, and judge the run when it is complete."""
    machine = describe()
    try:
        recording = _recording(into, machine, setting, resume=resume)
    except CannotResume as error:
        sys.stderr.write(f"{error} Without --resume, all rows are measured again.\n")
        return 2
    warn_if_busy(machine)
    setting.choose_anew()
    keep_freed_memory()  # as the services and the indexer do; it helps the rivals in this process too
    interrupted = not _measured(rows, setting, recording)
    sys.stdout.write(table(recording.results))
    if interrupted:
        sys.stderr.write(f"\nInterrupted after {len(recording.results)} of {len(rows)} rows. {_unfinished(into)}\n")
        return INTERRUPTED
    return _finished(recording, quick=setting.quick)


def _measured(rows: Sequence[Row], setting: Setting, recording: Recording) -> bool:
    """Whether all rows were measured; False after SIGINT or SIGTERM."""
    order = {row.name: place for place, row in enumerate(rows)}
    recording.results = [result for result in recording.results if result.name in order]
    done = {result.name for result in recording.results}
    try:
        with _signals_interrupt():
            for result in measure([row for row in rows if row.name not in done], setting):
                recording.add(result)
    except KeyboardInterrupt:
        return False
    finally:
        recording.results.sort(key=lambda result: order[result.name])
    return True


def _finished(recording: Recording, *, quick: bool) -> int:
    """Judge a complete run and put its report in place."""
    machine, into = recording.machine, recording.places
    kept = Places.kept(str(machine["instruction_set"])).report
    status = judge_quick(recording.results, machine, kept) if quick else judge(recording.results)
    reason = recording.finish()
    if reason is not None:
        sys.stderr.write(f"{reason}. {_unfinished(into)}\n")
    elif into.report == kept:
        sys.stderr.write(f"This run is kept in {kept}; `python -m bench table --write` writes it into {PAGE}.\n")
    return status


def _recording(into: Places, machine: dict[str, object], setting: Setting, *, resume: bool) -> Recording:
    settings = {"quick": setting.quick, "threads": setting.threads}
    if resume:
        recording = Recording.resumed(into, machine, settings)
        names = ", ".join(result.name for result in recording.results)
        sys.stderr.write(f"Already measured: {names or 'no rows'}.\n")
        return recording
    before = Report.read(into.partial)
    if before is not None:
        sys.stderr.write(
            f"{into.partial} belongs to an interrupted run ({len(before.results)} rows); --resume continues it. "
            "The first row of this run replaces it.\n"
        )
    return Recording(into, machine, settings)


def _unfinished(into: Places) -> str:
    partial = f"Results so far: {into.partial}; --resume continues from there." if into.partial.exists() else ""
    unchanged = f"{into.report} is unchanged." if into.report.exists() else ""
    return f"{partial} {unchanged}".strip()


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGINT (which background jobs ignore) and SIGTERM raise KeyboardInterrupt, so that servers are stopped."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(one, signal.default_int_handler) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)


def _table(*, write: bool) -> int:
    content = markdown(kept_reports())
    if write:
        write_into(PAGE, content)
    else:
        sys.stdout.write(content)
    return 0


def _chosen(options: argparse.Namespace, instruction_set: str) -> list[Row]:
    from bench.catalogue import catalogue

    rows = catalogue(instruction_set)
    unknown = set(options.only) - {row.name for row in rows}
    if unknown:
        sys.stderr.write(f"Unknown row: {', '.join(sorted(unknown))}; --list shows the rows.\n")
        raise SystemExit(2)
    if options.only:
        return [row for row in rows if row.name in options.only]
    return [row for row in rows if row.gate or not options.quick]


if __name__ == "__main__":
    sys.exit(main())
