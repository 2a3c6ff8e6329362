"""Curves of growth: each is measured and written, whatever becomes of the others."""

import json
from pathlib import Path

import pytest

from bench.chart import Curve
from bench.growth import coded, index_size, measure_all
from bench.row import Setting


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


def test_an_interrupted_run_leaves_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was measured lies in the cache."""

    def interrupted(curve: Curve, setting: Setting) -> None:
        raise KeyboardInterrupt

    out, cache = tmp_path / "growth.json", tmp_path / "cache"
    out.write_text("{}")

    assert measure_all([(Curve("walking", "miles", "ms"), interrupted)], Setting(cache=cache), out) == 130

    assert out.read_text() == "{}"
    assert (cache / "growth.partial.json").exists()
    assert f"{out} is unchanged" in capsys.readouterr().err


def test_sizes_of_an_index(tmp_path: Path) -> None:
    """Exact search and cells, each timed at every size."""
    curve = Curve("one query", "vectors", "ms")

    index_size(curve, Setting(quick=True, cache=tmp_path))

    assert curve.at == [1_000, 10_000]
    exact, cells = curve.lines["exact"], curve.lines["cells"]
    assert all(value and value > 0 for value in [*exact, *cells])
    assert exact[1] > exact[0]
    assert curve.lines["codes"] == [None, None]  # too few to learn codes from


def test_codes_find_most_of_what_is_nearest() -> None:
    """Filled without ever holding all vectors; a code of 16 bytes for 512 numbers loses some."""
    found = coded(3_000, trained=400, code=16)  # training on more, or for longer codes, takes minutes without AVX-512

    assert found.index.ntotal == 3_000
    assert 0.1 < found.recall <= 1
