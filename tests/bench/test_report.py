"""What is written, and read again."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.chart import chart
from bench.growth import Curve
from bench.growth_chart import growth_chart
from bench.report import add_to_history, markdown, read, table, to_json
from tests.bench.fakes import result

MACHINE = {"cpu": "A & B", "cores": 2, "flags": ["avx2"], "packages": {"torch": "2.13.0"}, "measured": "today"}


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Four digits of each number."""
    file = tmp_path / "latest.json"
    results = [result(ratio=3.14159265, ratios=(3.0, 4.0)), result("run", None, error="OSError: gone")]

    file.write_text(to_json(results, MACHINE, complete=True))
    machine, found = read(file)

    assert machine == MACHINE
    assert found[0].ratio == 3.142
    assert found[0].ratios == (3.0, 4.0)
    assert found[1] == results[1]


def test_rows_have_the_fields_that_were_asked_for() -> None:
    """By these names; others come on top."""
    rows = json.loads(to_json([result()], MACHINE, complete=True))["rows"]

    assert {"work", "rival", "ratio", "must", "aim", "ours", "rival_value", "unit", "spread", "floor"} <= rows[0].keys()


def test_where_nothing_was_kept_there_are_no_rows(tmp_path: Path) -> None:
    """A first run has nothing to be compared with; a damaged file is an error."""
    assert read(tmp_path / "latest.json") == ({}, [])
    (tmp_path / "latest.json").write_text("{")

    with pytest.raises(ValueError, match="Expecting"):
        read(tmp_path / "latest.json")


def test_history_grows_by_a_line(tmp_path: Path) -> None:
    """When, on what, and the ratios; what was there stays."""
    file = tmp_path / "history.jsonl"

    for ratio in (4.0, None):
        add_to_history(file, [result(ratio=ratio)], MACHINE)

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["ratios"] for line in lines] == [{"walk": 4.0}, {"walk": None}]
    assert lines[0]["cpu"] == "A & B"


def test_tables_name_what_is_missed_failed_and_skipped() -> None:
    """For a terminal and for a document."""
    results = [
        result("walk", 1.0),
        result("run", None, error="OSError: a|b"),
        result("swim", None, skipped="no water"),
        result("climb", 1.5, lower_is_better=True, must=2.0),
    ]

    for text in (table(results), markdown(results, MACHINE)):
        assert "MISSED" in text
        assert "FAILED: OSError" in text
        assert "skipped: no water" in text
        assert "≤ 2" in text
    assert "a\\|b" in markdown(results, MACHINE)


def test_the_chart_is_one_file_of_its_own() -> None:
    """Well-formed, nothing drawn in from elsewhere, both colour schemes, a text for each row."""
    results = [
        result("walk & run", 1000.0),
        result("swim", 0.01),
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
