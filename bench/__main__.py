"""`python -m bench`: measure and compare. The status is 1 if a threshold is missed; with --quick, if a ratio fell."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.machine import describe, instruction_set_here, warn_if_busy
from bench.report import LATEST, CannotResume, Places, Recording, Report, kept_reports
from bench.row import CACHE, Row, Setting, quiet
from bench.runner import measure
from bench.tables import PAGE, markdown, table, write_into
from bench.thresholds import judge, judge_quick
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
    """The options; a bad one ends the process with status 2 and a sentence."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure each work against its rival.")
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="run", help="table prints the kept runs")
    parser.add_argument("--quick", action="store_true", help="the speed gate: some rows, compared with those kept")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these rows; --list names them")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--write", action="store_true", help=f"with table: into {PAGE}")
    parser.add_argument("--out", type=Path, help=f"the report; in {LATEST}, or in {CACHE} with --quick or --only")
    parser.add_argument("--infinity", type=Path, metavar="DIR", help="a virtual environment with infinity_emb")
    options = parser.parse_args(arguments)
    if options.out and options.out.resolve().parent == LATEST.resolve():
        parser.error(f"{LATEST} is for whole runs on this machine, without --out, --quick and --only")
    return options


def places(options: argparse.Namespace, instruction_set: str) -> Places:
    """Only a whole run goes to the kept ones."""
    if options.out:
        return Places.at(options.out)
    if options.only or options.quick:
        return Places.at(CACHE / ("only.json" if options.only else "quick.json"))
    return Places.kept(instruction_set)


def run(rows: Sequence[Row], setting: Setting, into: Places, *, resume: bool = False) -> int:
    """Measure the rows, write what came of each at once, and judge the run when it is whole."""
    machine = describe()
    try:
        recording = _recording(into, machine, setting, resume=resume)
    except CannotResume as error:
        sys.stderr.write(f"{error} Without --resume all rows are measured anew.\n")
        return 2
    warn_if_busy(machine)
    setting.choose_anew()
    keep_freed_memory()  # as services and indexer do; the rivals in this process have it, too
    interrupted = not _measured(rows, setting, recording)
    sys.stdout.write(table(recording.results))
    if interrupted:
        sys.stderr.write(f"\nInterrupted after {len(recording.results)} of {len(rows)} rows. {_unfinished(into)}\n")
        return INTERRUPTED
    return _finished(recording, quick=setting.quick)


def _measured(rows: Sequence[Row], setting: Setting, recording: Recording) -> bool:
    """Whether all rows had their turn; False after SIGINT or SIGTERM."""
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
    """Judges a run of which every row had its turn, and puts it in place."""
    machine, into = recording.machine, recording.places
    kept = Places.kept(str(machine["instruction_set"])).report
    status = judge_quick(recording.results, machine, kept) if quick else judge(recording.results)
    reason = recording.finish()
    if reason is not None:
        sys.stderr.write(f"{reason}. {_unfinished(into)}\n")
    elif into.report == kept:
        sys.stderr.write(f"{kept} has this run; `python -m bench table --write` shows it in {PAGE}.\n")
    return status


def _recording(into: Places, machine: dict[str, object], setting: Setting, *, resume: bool) -> Recording:
    settings = {"quick": setting.quick, "threads": setting.threads}
    if resume:
        recording = Recording.resumed(into, machine, settings)
        names = ", ".join(result.name for result in recording.results)
        sys.stderr.write(f"Measured already: {names or 'no row'}.\n")
        return recording
    before = Report.read(into.partial)
    if before is not None:
        sys.stderr.write(
            f"{into.partial} is of an interrupted run (rows measured: {len(before.results)}); --resume continues it. "
            "The first row of this run replaces it.\n"
        )
    return Recording(into, machine, settings)


def _unfinished(into: Places) -> str:
    partial = f"What was measured is in {into.partial}; --resume goes on from there." if into.partial.exists() else ""
    unchanged = f"{into.report} is unchanged." if into.report.exists() else ""
    return f"{partial} {unchanged}".strip()


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGINT, which a shell's background jobs ignore, and SIGTERM: the servers that were started end, too."""
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
        sys.stderr.write(f"There is no row {', '.join(sorted(unknown))}; --list names those there are.\n")
        raise SystemExit(2)
    if options.only:
        return [row for row in rows if row.name in options.only]
    return [row for row in rows if row.gate or not options.quick]


if __name__ == "__main__":
    sys.exit(main())
