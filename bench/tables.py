"""Results as tables: one run for the terminal, the kept runs side by side as Markdown for docs/benchmarks.md."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.catalogue import AT_MOST, THRESHOLDS, limits
from bench.machine import AMX, AVX2, AVX2_VNNI, AVX512, AVX512_VNNI, OTHER
from bench.report import Report
from bench.row import Result

PAGE = Path("docs/benchmarks.md")
START, END = "<!-- `python -m bench table --write` writes what follows -->\n", "<!-- end of what it writes -->\n"
TO_MEASURE = "to be measured"
TITLES = {
    AVX2: "AVX2",
    AVX2_VNNI: "AVX2 with VNNI",
    AVX512: "AVX-512",
    AVX512_VNNI: "AVX-512 VNNI",
    AMX: "AMX",
    OTHER: "no AVX2",
}
ALWAYS = (AVX2, AVX512_VNNI)  # columns that are shown before anything is measured
HEAD = ("work", "rival", "ratio", "spread", "threshold", "target", "ours", "rival's", "unit", "over floor", "")

Reports = Mapping[str, Report]
Cell = Callable[[Result], str]


def table(results: Sequence[Result]) -> str:
    """Aligned columns for a terminal."""
    rows = [HEAD, *map(_cells, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def markdown(reports: Reports) -> str:
    """Everything that the page says about the kept runs."""
    columns = [name for name in TITLES if name in ALWAYS or name in reports]
    formats = [name for name in THRESHOLDS if name.startswith("formats-")]
    about = "".join(f"- {_about(name, reports.get(name))}\n" for name in columns)
    sections = {
        "### Ratios\nMedian of the rounds and interquartile range.": _ratios(reports, columns),
        "### Values\nOf both sides, and how many times worse than its floor ours is.": _side_by_side(
            reports, columns, THRESHOLDS, VALUES
        ),
        "### Indexing beside its parts\nPictures a second on all cores, and shares of them.": _parts(reports, columns),
        "### Picture formats\nPictures a second of the indexer and of decoding alone, and their ratio.": _side_by_side(
            reports, columns, formats, FORMATS
        ),
    }
    return "\n".join([about, *(f"{title}\n\n{lines}" for title, lines in sections.items())])


def write_into(page: Path, content: str) -> None:
    """Replace the text between the two marks. Raises ValueError if they are missing."""
    before, start, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page} lacks the lines {START.strip()} and {END.strip()}.")
    page.write_text(before + start + content + end + after, encoding="utf-8")


def _cells(result: Result) -> tuple[str, ...]:
    sign = "≤ " if result.lower_is_better else ""
    if result.ratio is None:
        outcome = f"skipped: {result.skipped}" if result.skipped else f"FAILED: {result.error}"
    else:
        outcome = "" if result.met else "MISSED"
    return (
        result.work,
        result.rival,
        _number(result.ratio),
        _number(result.spread),
        f"{sign}{result.threshold:g}",
        "" if result.target is None else f"{sign}{result.target:g}",
        _number(result.ours),
        _number(result.rival_value),
        result.unit,
        _number(result.from_floor),
        outcome,
    )


def _about(name: str, report: Report | None) -> str:
    """One line about the machine of a run."""
    if report is None:
        return f"**{TITLES[name]}**: {TO_MEASURE}."
    machine = report.machine
    flags, packages = ", ".join(machine.get("flags", ())), machine.get("packages", {})
    parts = [f"measured {machine.get('measured')} on {machine.get('cores')} cores of {machine.get('cpu')} ({flags})"]
    parts += [f"ONEDNN_MAX_CPU_ISA={machine['ceiling']}"] if machine.get("ceiling") else []
    parts += [f"resumed {', '.join(machine['resumed'])}"] if machine.get("resumed") else []
    parts += [f"load {machine.get('load')} before", f"commit {machine.get('commit')}"]
    parts += [f"{package} {number}" for package, number in packages.items()]
    return f"**{TITLES[name]}**: {', '.join(parts)}."


def _ratios(reports: Reports, columns: Sequence[str]) -> str:
    head = ["row", *(cell for name in columns for cell in (TITLES[name], "threshold", "target"))]
    rows = []
    for row in THRESHOLDS:
        cells, sign = [f"`{row}`"], "≤ " if row in AT_MOST else ""
        for name in columns:
            limit = limits(row, name)
            target = "" if limit.target is None else f"{sign}{limit.target:g}"
            cells += [_ratio(_found(reports, name, row), limit.threshold), f"{sign}{limit.threshold:g}", target]
        rows.append(cells)
    return _markdown(head, rows)


def _ratio(result: Result | None, threshold: float) -> str:
    if result is None or result.ratio is None:
        return _absent(result)
    met = result.ratio <= threshold if result.lower_is_better else result.ratio >= threshold
    told = f"{_number(result.ratio)} ± {_number(result.spread)}"
    return told if met else f"**{told}, missed**"


def _side_by_side(reports: Reports, columns: Sequence[str], names: Iterable[str], cells: Mapping[str, Cell]) -> str:
    """The named rows, with the same cells for each instruction set."""
    head = ["row", *(f"{TITLES[column]}: {cell}" for column in columns for cell in cells)]
    rows = []
    for name in names:
        found = [_found(reports, column, name) for column in columns]
        filled = [
            _absent(one) if one is None or one.ratio is None else tell(one) for one in found for tell in cells.values()
        ]
        rows.append([f"`{name}`", *filled])
    return _markdown(head, rows)


def _both(result: Result) -> str:
    return f"{_number(result.ours)} / {_number(result.rival_value)} {result.unit}"


def _detail(name: str) -> Cell:
    return lambda result: _number(result.details.get(name))


VALUES: Mapping[str, Cell] = {"ours / rival's": _both, "over floor": lambda one: _number(one.from_floor)}
FORMATS: Mapping[str, Cell] = {
    "indexer / decoding": lambda one: f"{_number(one.ours)} / {_number(one.details.get('decoding alone'))}",
    "share": lambda one: _number(one.details.get("of decoding alone")),
}
PARTS: Sequence[tuple[str, str, Cell]] = (
    ("reading and decoding alone", "indexing", _detail("reading alone")),
    ("`models/retrieval` alone", "indexing", lambda result: _number(result.floor)),
    ("the indexer with it", "indexing", lambda result: _number(result.ours)),
    ("share of the model alone", "indexing", _detail("of the bare model")),
    ("share of what reading and the model together allow", "indexing", _detail("of model and reading")),
    ("share with the model on one core, reading on the others", "indexing", _detail("of the model with a core")),
    ("CLIP ViT-B/32 alone", "indexing-clip", lambda result: _number(result.rival_value)),
    ("the indexer with CLIP", "indexing-clip", lambda result: _number(result.ours)),
    ("share of CLIP alone", "indexing-clip", lambda result: _number(result.ratio)),
)


def _parts(reports: Reports, columns: Sequence[str]) -> str:
    rows = []
    for title, row, tell in PARTS:
        found = [_found(reports, column, row) for column in columns]
        rows.append([title, *(_absent(one) if one is None or one.ratio is None else tell(one) for one in found)])
    return _markdown(["", *(TITLES[column] for column in columns)], rows)


def _found(reports: Reports, instruction_set: str, name: str) -> Result | None:
    results = reports[instruction_set].results if instruction_set in reports else ()
    return next((result for result in results if result.name == name), None)


def _absent(result: Result | None) -> str:
    if result is None:
        return TO_MEASURE
    return "skipped" if result.skipped else "failed"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
