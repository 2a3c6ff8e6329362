"""Curves of growth: each is measured and written, whatever becomes of the others."""

import json
from pathlib import Path

from bench.growth import Curve, measure_all
from bench.growth_curves import index_size
from bench.setting import Setting


def test_a_curve_that_fails_stops_none_of_the_others(tmp_path: Path) -> None:
    """The report has both, the status says that one failed, and the chart is there."""

    def fails(curve: Curve, setting: Setting) -> None:
        curve.add(1, p50=2.0)
        raise OSError("no such server")

    def works(curve: Curve, setting: Setting) -> None:
        curve.add(1, p50=2.0, rate=100.0)
        curve.add(10, p50=20.0, rate=99.0)

    out = tmp_path / "new" / "growth.json"
    measured = [(Curve("walking", "miles", "ms"), fails), (Curve("running", "miles", "ms"), works)]

    assert measure_all(measured, Setting(), out) == 1

    broken, whole = json.loads(out.read_text())["curves"]
    assert broken["error"] == "OSError: no such server"
    assert (whole["error"], whole["at"], whole["lines"]) == (None, [1, 10], {"p50": [2.0, 20.0], "rate": [100.0, 99.0]})
    assert out.with_suffix(".svg").read_text().count("<polyline") == 2


def test_sizes_of_an_index(tmp_path: Path) -> None:
    """Exact search and cells, each timed at every size."""
    curve = Curve("one query", "vectors", "ms")

    index_size(curve, Setting(quick=True, cache=tmp_path))

    assert curve.at == [1_000, 10_000]
    assert {name: len(values) for name, values in curve.lines.items()} == {"exact": 2, "cells": 2}
    assert all(value > 0 for values in curve.lines.values() for value in values)
    assert curve.lines["exact"][1] > curve.lines["exact"][0]
