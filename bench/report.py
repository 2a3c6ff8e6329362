"""A run in files: a partial report while it measures, then the report with its chart, and a line of history."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from bench.chart import chart
from bench.row import CACHE, Result

LATEST = Path("bench/latest")  # the kept runs, one for each instruction set
HISTORY = "history.jsonl"
SAME = ("cpu", "cores", "instruction_set", "ceiling", "python", "packages", "code")  # where these differ, no resuming
_FIELDS = {one.name for one in fields(Result)}


class CannotResume(Exception):
    """What was measured before does not belong to this run."""


@dataclass(frozen=True)
class Places:
    """Where a run goes. Its report replaces the one before when every row has been measured."""

    report: Path
    partial: Path
    history: Path

    @classmethod
    def kept(cls, instruction_set: str) -> Self:
        """Those of the runs that are compared with and shown in the documentation."""
        name = f"{instruction_set}.json"
        return cls(LATEST / name, (CACHE / name).with_suffix(".partial.json"), LATEST.with_name(HISTORY))

    @classmethod
    def at(cls, report: Path) -> Self:
        """Those of any other run, side by side."""
        return cls(report, report.with_suffix(".partial.json"), report.with_name(HISTORY))


@dataclass(frozen=True)
class Report:
    """What a run found, and how. `settings` are the same when a run is resumed."""

    machine: Mapping[str, Any]
    results: Sequence[Result]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """None where there is none. Raises ValueError where it is damaged."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        rows = [{name: value for name, value in row.items() if name in _FIELDS} for row in found["rows"]]
        results = [Result(**row | {"ratios": tuple(row.get("ratios", ()))}) for row in rows]
        return cls(found["machine"], results, found.get("settings", {}))

    def to_json(self, *, complete: bool) -> str:
        """`complete` says whether all rows have been measured that could be."""
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
        """With the measured rows of the interrupted run; with none where there was none.

        Raises:
            CannotResume: that run was on another machine, or of other code or settings.
        """
        before = Report.read(places.partial)
        if before is None:
            return cls(places, machine, settings)
        differing = [name for name in SAME if before.machine.get(name) != machine.get(name)]
        differing += [name for name in settings if before.settings.get(name) != settings[name]]
        if differing:
            raise CannotResume(f"{places.partial} was measured with other {', '.join(differing)}.")
        parts = [*before.machine.get("resumed", ()), machine.get("measured")]
        measured = [result for result in before.results if result.ratio is not None]
        return cls(places, dict(before.machine) | {"resumed": parts}, settings, measured)

    def add(self, result: Result) -> None:
        """Into the partial report at once: an engine may crash in the next row."""
        self.results.append(result)
        _write(self.places.partial, self._report().to_json(complete=False))

    def finish(self) -> str | None:
        """Replaces the report, unless that would lose rows: then it returns the reason, and the partial one stays."""
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
        return f"{', '.join(lost)} skipped, but measured in the report before" if lost else None

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
    """All or nothing, whenever the process ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(content, encoding="utf-8")
    os.replace(unfinished, file)


def _short(value: float | None) -> float | None:
    """Four digits are more than a measurement has."""
    return None if value is None else float(f"{value:.4g}")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
