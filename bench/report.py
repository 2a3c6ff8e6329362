"""A run on disk (partial report, final report with chart, history) and its verdict: missed thresholds, regressions."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from bench.chart import chart
from bench.row import CACHE, Result

LATEST = Path("bench/latest")  # the kept runs, one for each instruction set
HISTORY = "history.jsonl"
SAME = ("cpu", "cores", "instruction_set", "ceiling", "python", "packages", "code")  # must match to resume
ALLOWED = 0.75  # of the ratio in the kept run
_FIELDS = {one.name for one in fields(Result)}


class CannotResume(Exception):
    """The earlier results do not belong to this run."""


@dataclass(frozen=True)
class Places:
    """Where a run is written. Its report replaces the previous one when every row has been measured."""

    report: Path
    partial: Path
    history: Path

    @classmethod
    def kept(cls, instruction_set: str) -> Self:
        """For runs that later runs are compared with and the documentation shows."""
        name = f"{instruction_set}.json"
        return cls(LATEST / name, (CACHE / name).with_suffix(".partial.json"), LATEST.with_name(HISTORY))

    @classmethod
    def at(cls, report: Path) -> Self:
        """For any other run, side by side."""
        return cls(report, report.with_suffix(".partial.json"), report.with_name(HISTORY))


@dataclass(frozen=True)
class Report:
    """Results of a run, and how it was run. A resumed run must have the same `settings`."""

    machine: Mapping[str, Any]
    results: Sequence[Result]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """None if there is no file. Raises ValueError if it is damaged."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        rows = [{name: value for name, value in row.items() if name in _FIELDS} for row in found["rows"]]
        results = [Result(**row | {"ratios": tuple(row.get("ratios", ()))}) for row in rows]
        return cls(found["machine"], results, found.get("settings", {}))

    def to_json(self, *, complete: bool) -> str:
        """`complete`: every row that can be measured here has been."""
        head = {"machine": self.machine, "settings": self.settings, "complete": complete}
        return json.dumps(head | {"rows": [_rounded(asdict(result)) for result in self.results]}, indent=2) + "\n"


def kept_reports(folder: Path = LATEST) -> dict[str, Report]:
    """The kept runs by instruction set."""
    found = {file.stem: Report.read(file) for file in sorted(folder.glob("*.json"))}
    return {name: report for name, report in found.items() if report is not None}


@dataclass
class Recording:
    """The results of a run, written as they come."""

    places: Places
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    results: list[Result] = field(default_factory=list)

    @classmethod
    def resumed(cls, places: Places, machine: Mapping[str, Any], settings: Mapping[str, Any]) -> Self:
        """With the rows that the interrupted run has measured, if there was one.

        Raises:
            CannotResume: that run had another machine, code or settings.
        """
        before = Report.read(places.partial)
        if before is None:
            return cls(places, machine, settings)
        differing = [name for name in SAME if before.machine.get(name) != machine.get(name)]
        differing += [name for name in settings if before.settings.get(name) != settings[name]]
        if differing:
            raise CannotResume(f"{places.partial} was measured with a different {', '.join(differing)}.")
        parts = [*before.machine.get("resumed", ()), machine.get("measured")]
        measured = [result for result in before.results if result.ratio is not None]
        return cls(places, dict(before.machine) | {"resumed": parts}, settings, measured)

    def add(self, result: Result) -> None:
        """Write the partial report at once: an engine may crash in the next row."""
        self.results.append(result)
        _write(self.places.partial, self._report().to_json(complete=False))

    def finish(self) -> str | None:
        """Replace the report. If that would lose rows, return the reason and keep the partial report."""
        reason = self._unfinished()
        if reason is not None:
            return reason
        _write(self.places.report, self._report().to_json(complete=True))
        _write(self.places.report.with_suffix(".svg"), chart(self.results))
        add_to_history(self.places.history, self.results, self.machine)
        self.places.partial.unlink(missing_ok=True)
        return None

    def _unfinished(self) -> str | None:
        failed = [result.name for result in self.results if result.error is not None]
        if failed:
            return f"{', '.join(failed)} failed"
        before = Report.read(self.places.report)
        measured = {result.name for result in before.results if result.ratio is not None} if before else set[str]()
        lost = [result.name for result in self.results if result.skipped and result.name in measured]
        return f"{', '.join(lost)} skipped, but measured in the previous report" if lost else None

    def _report(self) -> Report:
        return Report(self.machine, self.results, self.settings)


def add_to_history(file: Path, results: Sequence[Result], machine: Mapping[str, Any]) -> None:
    """One line: when, on what, and the ratios."""
    ratios = {result.name: _short(result.ratio) for result in results}
    names = ("measured", "commit", "cpu", "cores", "instruction_set", "load")
    line = {name: machine.get(name) for name in names} | {"ratios": ratios}
    with file.open("a", encoding="utf-8") as history:
        history.write(json.dumps(line) + "\n")


def _write(file: Path, content: str) -> None:
    """Atomic."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(content, encoding="utf-8")
    os.replace(unfinished, file)


def _short(value: float | None) -> float | None:
    """Four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value


def judge(results: Sequence[Result]) -> int:
    """Report missed thresholds; returns the exit status."""
    return _told("MISSED", missed(results))


def judge_quick(results: Sequence[Result], machine: Mapping[str, Any], kept: Path) -> int:
    """Compare with the kept run for the same instruction set; returns the exit status."""
    report = Report.read(kept)
    if report is None:
        sys.stderr.write(
            f"There is no kept run for {machine['instruction_set']} ({kept}): no ratio is compared. "
            "`make bench` measures and keeps one.\n"
        )
    elif report.machine.get("cpu") != machine["cpu"]:
        sys.stderr.write(f"{kept} was measured on {report.machine.get('cpu')}: its ratios may differ from here.\n")
    before = {result.name: result for result in report.results} if report else {}
    return _told("SLOWER THAN KEPT", regressions(results, before))


def missed(results: Sequence[Result]) -> list[str]:
    """A sentence for each row that misses its threshold; failed rows count as missed."""
    return [_missed(result) for result in results if not result.skipped and not result.met]


def regressions(results: Sequence[Result], kept: Mapping[str, Result]) -> list[str]:
    """A sentence for each row that failed or is more than 25 % worse than in the kept run."""
    return [line for result in results if (line := _regression(result, kept.get(result.name))) is not None]


def _told(title: str, wrong: Sequence[str]) -> int:
    sys.stderr.writelines(f"{title}: {line}\n" for line in wrong)
    return 1 if wrong else 0


def _missed(result: Result) -> str:
    if result.ratio is None:
        return f"{result.work}: {result.error or 'not measured'}"
    relation = "at most" if result.lower_is_better else "at least"
    return f"{result.work}: {result.ratio:.2f}, threshold {relation} {result.threshold:g}"


def _regression(result: Result, kept: Result | None) -> str | None:
    if result.skipped:
        return None
    if result.score is None or result.ratio is None:
        return f"{result.work}: {result.error or 'not measured'}"
    if kept is None or kept.score is None or result.score >= ALLOWED * kept.score:
        return None
    loss = 100 * (1 - result.score / kept.score)
    return f"{result.work}: {loss:.0f} % worse than kept (ratio {result.ratio:.2f}, kept {kept.ratio:.2f})"
