"""`python -m bench`: measure and compare. It fails where a must is missed; with --quick, where a ratio has fallen."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.chart import chart
from bench.machine import describe, warn_if_busy
from bench.options import LATEST, parse
from bench.report import add_to_history, markdown, read, table, to_json
from bench.row import Result, Row
from bench.runner import measure
from bench.setting import Setting, quiet
from bench.verdict import missed, regressions
from imagetext.memory import keep_freed_memory

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    options = parse(arguments)
    if options.command == "table":
        machine, results = read(options.out)
        sys.stdout.write(markdown(results, machine))
        return 0
    quiet()
    if options.command == "growth":
        from bench.growth import grow

        return grow(Setting(options.quick), options.out)
    rows = _chosen(options)
    if options.list:
        sys.stdout.writelines(f"{row.name:20} {row.work}\n" for row in rows)
        return 0
    return run(rows, Setting(options.quick, infinity=options.infinity), options.out)


def run(rows: Sequence[Row], setting: Setting, out: Path) -> int:
    """Measure the rows, write what came of each at once, since an engine may crash in the next, and judge it."""
    machine, results, interrupted = describe(), list[Result](), False
    warn_if_busy(machine)
    setting.choose_anew()
    keep_freed_memory()  # as services and indexer do; the other side, in the same process, has it, too
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers it started end too
    try:
        for result in measure(rows, setting):
            results.append(result)
            write(out, results, machine, complete=len(results) == len(rows))
    except KeyboardInterrupt:
        interrupted = True
        sys.stderr.write("\nInterrupted; what has been measured is written.\n")
    finally:
        signal.signal(signal.SIGTERM, before)
    if results:
        add_to_history(out.with_name("history.jsonl"), results, machine)
    sys.stdout.write(table(results))
    return INTERRUPTED if interrupted else judge(results, setting, machine)


def write(out: Path, results: Sequence[Result], machine: dict[str, object], *, complete: bool) -> None:
    """The report, and its chart beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(to_json(results, machine, complete=complete), encoding="utf-8")
    out.with_suffix(".svg").write_text(chart(results), encoding="utf-8")


def judge(results: Sequence[Result], setting: Setting, machine: dict[str, object], kept: Path = LATEST) -> int:
    """Says what is wrong, if anything is, and returns the exit status."""
    if setting.quick:
        about, before = read(kept)
        if about and about.get("cpu") != machine["cpu"]:
            sys.stderr.write(f"{kept} is of another processor, {about.get('cpu')}: its ratios may differ from here.\n")
        wrong, title = regressions(results, {result.name: result for result in before}), "SLOWER THAN KEPT"
    else:
        wrong, title = missed(results), "MISSED"
    sys.stderr.writelines(f"{title}: {line}\n" for line in wrong)
    return 1 if wrong else 0


def _chosen(options: argparse.Namespace) -> list[Row]:
    from bench.catalogue import catalogue

    rows = catalogue()
    unknown = set(options.only) - {row.name for row in rows}
    if unknown:
        sys.stderr.write(f"There is no row {', '.join(sorted(unknown))}; --list names those there are.\n")
        raise SystemExit(2)
    if options.only:
        return [row for row in rows if row.name in options.only]
    return [row for row in rows if row.gate or not options.quick]


if __name__ == "__main__":
    sys.exit(main())
