"""What a run writes, reads again, and replaces."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.chart import Curve, chart, growth_chart
from bench.report import CannotResume, Places, Recording, Report, add_to_history, kept_reports
from tests.bench.fakes import result

MACHINE = {"cpu": "A & B", "cores": 2, "flags": ["avx2"], "packages": {"torch": "2.13.0"}, "measured": "today"}
SETTINGS = {"quick": False, "threads": 2}


def recording(folder: Path) -> Recording:
    return Recording(Places.at(folder / "avx2.json"), MACHINE, SETTINGS)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Four digits of each number."""
    file = tmp_path / "avx2.json"
    results = [result(ratio=3.14159265, ratios=(3.0, 4.0)), result("run", None, error="OSError: gone")]

    file.write_text(Report(MACHINE, results, SETTINGS).to_json(complete=True))
    found = Report.read(file)

    assert found is not None
    assert (found.machine, found.settings) == (MACHINE, SETTINGS)
    assert (found.results[0].ratio, found.results[0].ratios) == (3.142, (3.0, 4.0))
    assert found.results[1] == results[1]


def test_rows_have_the_fields_that_were_asked_for() -> None:
    """By these names, among others."""
    rows = json.loads(Report(MACHINE, [result()]).to_json(complete=True))["rows"]
    names = {"work", "rival", "ratio", "threshold", "target", "ours", "rival_value", "unit", "spread", "floor"}

    assert names <= rows[0].keys()


def test_where_nothing_was_kept_there_is_no_report(tmp_path: Path) -> None:
    """A damaged file is an error."""
    assert Report.read(tmp_path / "avx2.json") is None
    (tmp_path / "avx2.json").write_text("{")

    with pytest.raises(ValueError, match="Expecting"):
        Report.read(tmp_path / "avx2.json")


def test_kept_runs_are_found_by_instruction_set(tmp_path: Path) -> None:
    """One file for each."""
    for name in ("avx2", "amx"):
        (tmp_path / f"{name}.json").write_text(Report({"cpu": name}, [result()]).to_json(complete=True))

    assert {name: report.machine["cpu"] for name, report in kept_reports(tmp_path).items()} == {
        "avx2": "avx2",
        "amx": "amx",
    }


def test_the_kept_runs_can_be_read() -> None:
    """They say what they are, and every row in them was measured."""
    reports = kept_reports()

    assert "avx512-vnni" in reports
    for name, report in reports.items():
        assert report.machine["instruction_set"] == name
        assert all(one.ratio is not None or one.skipped for one in report.results)


def test_rows_are_partial_until_the_run_is_whole(tmp_path: Path) -> None:
    """Then report, chart and history lie side by side, and the partial report is gone."""
    run = recording(tmp_path / "new")

    run.add(result())
    partial = json.loads(run.places.partial.read_text())
    assert not partial["complete"]
    assert [row["name"] for row in partial["rows"]] == ["walk"]
    assert not run.places.report.exists()

    assert run.finish() is None
    assert json.loads(run.places.report.read_text())["complete"]
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["avx2.json", "avx2.svg", "history.jsonl"]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ({"error": "OSError: gone"}, "run failed"),
        ({"skipped": "no shoes"}, "run skipped, but measured in the previous report"),
    ],
)
def test_a_run_that_lost_a_row_replaces_nothing(tmp_path: Path, last: dict[str, Any], reason: str) -> None:
    """The report stays as it was; the partial one can be resumed."""
    before, run = recording(tmp_path), recording(tmp_path)
    for name in ("walk", "run"):
        before.add(result(name))
    before.finish()
    kept = run.places.report.read_text()

    run.add(result("walk", 9.0))
    run.add(result("run", None, **last))

    assert run.finish() == reason
    assert run.places.report.read_text() == kept
    assert Recording.resumed(run.places, MACHINE, SETTINGS).results == [result("walk", 9.0)]


def test_a_skipped_row_is_kept_where_it_was_never_measured(tmp_path: Path) -> None:
    """infinity is not everywhere."""
    run = recording(tmp_path)
    run.add(result("run", None, skipped="no shoes"))

    assert run.finish() is None


def test_a_resumed_run_says_so(tmp_path: Path) -> None:
    """Its machine is that of the first part, with the times of the others."""
    recording(tmp_path).add(result())

    for hour in ("noon", "night"):
        run = Recording.resumed(recording(tmp_path).places, MACHINE | {"measured": hour, "load": 9.0}, SETTINGS)
        run.add(result(hour))

    assert run.machine == MACHINE | {"resumed": ["noon", "night"]}
    assert [one.name for one in run.results] == ["walk", "noon", "night"]


@pytest.mark.parametrize(
    ("machine", "settings", "named"),
    [
        ({"code": "changed"}, {}, "code"),
        ({"cpu": "C", "packages": {"torch": "3"}}, {}, "cpu, packages"),
        ({}, {"threads": 1}, "threads"),
    ],
)
def test_other_code_machines_and_settings_are_not_mixed(
    tmp_path: Path, machine: dict[str, Any], settings: dict[str, Any], named: str
) -> None:
    """What differs is named; the rows stay where they are."""
    run = recording(tmp_path)
    run.add(result())

    with pytest.raises(CannotResume, match=f"with a different {named}"):
        Recording.resumed(run.places, MACHINE | machine, SETTINGS | settings)
    assert run.places.partial.exists()


def test_without_an_interrupted_run_nothing_is_resumed(tmp_path: Path) -> None:
    """The run begins with the first row."""
    assert Recording.resumed(recording(tmp_path).places, MACHINE, SETTINGS) == recording(tmp_path)


def test_history_grows_by_a_line(tmp_path: Path) -> None:
    """When, on what, and the ratios; earlier lines stay."""
    file = tmp_path / "history.jsonl"

    for ratio in (4.0, None):
        add_to_history(file, [result(ratio=ratio)], MACHINE | {"instruction_set": "avx2"})

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["ratios"] for line in lines] == [{"walk": 4.0}, {"walk": None}]
    assert (lines[0]["cpu"], lines[0]["instruction_set"]) == ("A & B", "avx2")


def test_the_chart_is_one_file_of_its_own() -> None:
    """Well-formed, nothing loaded from elsewhere, both colour schemes, a text for each row, targets where there are."""
    results = [
        result("walk & run", 1000.0),
        result("swim", 0.01, target=None),
        result("fly", None, error="OSError: gone"),
        result("dive", 1.5, lower_is_better=True),
    ]

    drawn = chart(results)
    root = ElementTree.fromstring(drawn)

    assert "prefers-color-scheme: dark" in drawn
    assert drawn.count("http") == 1  # the namespace
    texts = {element.text for element in root.iter() if element.text}
    assert {f"the {name}" for name in ("walk & run", "swim", "fly", "dive")} <= texts
    widths = [float(element.get("width", "0")) for element in root.iter() if element.get("class") in ("met", "short")]
    assert all(width >= 0 for width in widths)
    assert len([element for element in root.iter() if element.get("class") == "target"]) == 2


def test_growth_is_drawn_with_a_panel_for_each_curve() -> None:
    """Also where one failed before its first point, or has a single point, or took no time at all."""
    curves = [Curve("search", "vectors", "ms"), Curve("captions", "pictures", "ms"), Curve("callers", "callers", "ms")]
    curves[0].add(1000, p50=0.0, rate=9.0)
    for at in (1, 2, 16):
        curves[1].add(at, p50=at * 3.0, p99=at * 40.0)

    root = ElementTree.fromstring(growth_chart(curves))

    texts = [element.text for element in root.iter() if element.text]
    assert {"search", "captions", "callers", "not measured"} <= set(texts)
    assert "p99 640 ms" in texts
