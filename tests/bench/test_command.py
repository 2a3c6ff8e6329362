"""The command: exit status, files, interruption and resuming."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main, parse, places, run
from bench.report import LATEST, Places
from bench.row import CACHE, Setting
from tests.bench.fakes import row


def names(file: Path) -> list[str]:
    return [one["name"] for one in json.loads(file.read_text())["rows"]]


def test_a_run_that_meets_its_thresholds_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report is there, and the table is printed."""
    out = tmp_path / "new" / "avx2.json"

    assert run([row(threshold=3)], Setting(cache=tmp_path), Places.at(out)) == 0

    report = json.loads(out.read_text())
    assert report["complete"]
    assert report["rows"][0]["ratio"] == 3
    assert {"cpu", "cores", "instruction_set", "flags", "packages", "code"} <= report["machine"].keys()
    assert "the walk" in capsys.readouterr().out


def test_a_missed_threshold_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says so; the report is replaced all the same, since all rows were measured."""
    out = tmp_path / "avx2.json"

    assert run([row(threshold=3.5)], Setting(cache=tmp_path), Places.at(out)) == 1
    assert "MISSED: the walk: 3.00, threshold at least 3.5" in capsys.readouterr().err
    assert out.exists()


def test_a_row_that_fails_leaves_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the row and the partial report."""

    def broken(setting: Setting) -> Any:
        raise OSError("gone")

    out = tmp_path / "avx2.json"
    run([row()], Setting(cache=tmp_path), Places.at(out))
    kept = out.read_text()

    assert run([row(), row("run", prepare=broken)], Setting(cache=tmp_path), Places.at(out)) == 1

    assert out.read_text() == kept
    said = capsys.readouterr().err
    assert f"run failed. Results so far: {tmp_path / 'avx2.partial.json'}" in said
    assert f"{out} is unchanged" in said


# A catalogue of two rows; the second one does what its argument says.
_TWO_ROWS = """
import os, signal, sys, time
from contextlib import contextmanager
from pathlib import Path
from bench.__main__ import run
from bench.report import Places
from bench.row import Setting
from tests.bench.fakes import row

out, what = Path(sys.argv[1]), sys.argv[2]

@contextmanager
def second(setting):
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    (out.parent / "waiting").touch()
    time.sleep(60)
    yield

sys.exit(run([row(), row("run", prepare=second)], Setting(cache=out.parent), Places.at(out)))
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_the_report_and_can_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sent: signal.Signals
) -> None:
    """A real signal in the second row; resuming measures that row only and replaces the report."""
    out, partial = tmp_path / "avx2.json", tmp_path / "avx2.partial.json"
    out.write_text('{"machine": {}, "rows": []}')

    process = subprocess.Popen([sys.executable, "-c", _TWO_ROWS, out, "wait"], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "waiting").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(sent)
    said = process.communicate(timeout=30)[1]

    assert process.returncode == 130
    assert f"Interrupted after 1 of 2 rows. Results so far: {partial}" in said
    assert f"{out} is unchanged." in said
    assert names(out) == []
    assert names(partial) == ["walk"]

    again: list[str] = []

    def prepared(name: str) -> Any:
        again.append(name)
        return row().prepare(Setting())

    rows = [row(name, prepare=lambda setting, name=name: prepared(name)) for name in ("walk", "run")]
    assert run(rows, Setting(cache=tmp_path), Places.at(out), resume=True) == 0

    assert again == ["run"]
    assert names(out) == ["walk", "run"]
    assert not partial.exists()


def test_a_new_run_says_what_it_will_replace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever forgot --resume can stop it before its first row is measured."""
    out = tmp_path / "avx2.json"
    subprocess.run([sys.executable, "-c", _TWO_ROWS, out, "crash"], check=False, stderr=subprocess.DEVNULL)

    assert run([row("swim")], Setting(cache=tmp_path), Places.at(out)) == 0

    assert "avx2.partial.json belongs to an interrupted run (1 rows); --resume continues it" in capsys.readouterr().err
    assert names(out) == ["swim"]


def test_what_was_measured_outlives_a_crash(tmp_path: Path) -> None:
    """An engine that ends the process in the second row takes that row with it and no other."""
    out = tmp_path / "avx2.json"

    crashed = subprocess.run([sys.executable, "-c", _TWO_ROWS, out, "crash"], check=False)

    assert crashed.returncode == -signal.SIGSEGV
    assert not out.exists()
    assert names(tmp_path / "avx2.partial.json") == ["walk"]


def test_other_settings_cannot_be_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends before it measures."""
    out = tmp_path / "avx2.json"
    subprocess.run([sys.executable, "-c", _TWO_ROWS, out, "crash"], check=False, stderr=subprocess.DEVNULL)

    assert run([row()], Setting(quick=True, cache=tmp_path), Places.at(out), resume=True) == 2

    assert "was measured with a different quick. Without --resume" in capsys.readouterr().err
    assert names(tmp_path / "avx2.partial.json") == ["walk"]


def test_only_a_whole_run_replaces_the_kept_one() -> None:
    """Quick and partial runs go to the cache unless --out says otherwise."""
    assert places(parse([]), "amx") == Places.kept("amx")
    assert Places.kept("amx").report == LATEST / "amx.json"
    assert Places.kept("amx").partial == CACHE / "amx.partial.json"
    assert places(parse(["--quick"]), "amx").report == CACHE / "quick.json"
    assert places(parse(["--only", "search"]), "amx").report == CACHE / "only.json"
    assert places(parse(["--only", "search", "--out", "x.json"]), "amx").report == Path("x.json")


@pytest.mark.parametrize("part", [["--only", "search"], ["--quick"], []])
def test_no_option_writes_over_a_kept_run(part: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """--out takes no file among them."""
    with pytest.raises(SystemExit) as ended:
        parse([*part, "--out", str(LATEST / "avx2.json")])

    assert ended.value.code == 2
    assert "is reserved for whole runs" in capsys.readouterr().err


def test_the_kept_runs_are_printed_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    """For docs/benchmarks.md."""
    assert main(["table"]) == 0
    assert "| row | AVX2 | threshold | target | AVX-512 VNNI | threshold | target |" in capsys.readouterr().out


def test_choices_of_engines_do_not_outlive_a_run(tmp_path: Path) -> None:
    """They may have been made while the machine was busy; what was exported stays."""
    folder = tmp_path / "engines" / "model"
    (folder / "choices").mkdir(parents=True)
    (folder / "choices" / "model-pictures-1.json").write_text('{"engine": "torch"}')
    (folder / "pictures.onnx").touch()
    setting = Setting(cache=tmp_path)
    assert setting.chosen("model") == "pictures: torch"

    setting.choose_anew()

    assert setting.chosen("model") == ""
    assert (folder / "pictures.onnx").exists()
