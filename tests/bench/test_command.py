"""The command: exit status and files."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.__main__ import judge, main, run
from bench.options import LATEST, parse
from bench.report import to_json
from bench.row import Contest
from bench.setting import Setting
from tests.bench.fakes import result, row


def test_a_run_whose_musts_are_met_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Report, chart and history lie side by side, and the table is printed."""
    out = tmp_path / "new" / "latest.json"

    assert run([row(must=3)], Setting(cache=tmp_path), out) == 0

    report = json.loads(out.read_text())
    assert report["complete"]
    assert report["rows"][0]["ratio"] == 3
    assert {"cpu", "cores", "flags", "packages"} <= report["machine"].keys()
    assert sorted(file.name for file in out.parent.iterdir()) == ["history.jsonl", "latest.json", "latest.svg"]
    assert "the walk" in capsys.readouterr().out


def test_a_missed_must_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says so."""
    assert run([row(must=3.5)], Setting(cache=tmp_path), tmp_path / "latest.json") == 1
    assert "MISSED: the walk: 3.00, must be at least 3.5" in capsys.readouterr().err


def test_an_interruption_writes_what_was_measured(tmp_path: Path) -> None:
    """Ctrl-C in the second row."""

    @contextmanager
    def interrupted(setting: Setting) -> Iterator[Contest]:
        raise KeyboardInterrupt
        yield

    rows, out = [row(), row("run", prepare=interrupted)], tmp_path / "latest.json"

    assert run(rows, Setting(cache=tmp_path), out) == 130

    report = json.loads(out.read_text())
    assert not report["complete"]
    assert [one["name"] for one in report["rows"]] == ["walk"]


def test_what_was_measured_outlives_a_crash(tmp_path: Path) -> None:
    """An engine that ends the process in the second row takes that row with it and no other."""
    out = tmp_path / "latest.json"

    crashed = subprocess.run([sys.executable, "-c", _CRASH, out], check=False)

    assert crashed.returncode == -signal.SIGSEGV
    report = json.loads(out.read_text())
    assert not report["complete"]
    assert [one["name"] for one in report["rows"]] == ["walk"]


_CRASH = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from bench.__main__ import run
from bench.setting import Setting
from tests.bench.fakes import row

@contextmanager
def crashing(setting):
    os.kill(os.getpid(), signal.SIGSEGV)
    yield

out = Path(sys.argv[1])
run([row(), row("run", prepare=crashing)], Setting(cache=out.parent), out)
"""


def test_the_gate_compares_with_what_was_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missed must is none of its business, a loss of more than 25 % is."""
    kept, machine = tmp_path / "latest.json", {"cpu": "a"}
    kept.write_text(to_json([result(ratio=2.0)], {"cpu": "b"}, complete=True))

    assert judge([result(ratio=1.6)], Setting(quick=True), machine, kept) == 0
    assert judge([result(ratio=1.4)], Setting(quick=True), machine, kept) == 1

    said = capsys.readouterr().err
    assert "SLOWER THAN KEPT: the walk: 30 % worse" in said
    assert "another processor, b" in said


def test_only_a_whole_run_replaces_what_is_kept() -> None:
    """Quick and partial runs go to the cache unless they are told where."""
    assert parse([]).out == LATEST
    assert parse(["table"]).out == LATEST
    assert parse(["--quick"]).out != LATEST
    assert parse(["--only", "search"]).out != LATEST
    assert parse(["--only", "search", "--out", "x.json"]).out == Path("x.json")


def test_the_kept_run_prints_as_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For docs/benchmarks.md."""
    file = tmp_path / "latest.json"
    file.write_text(to_json([result()], {"cpu": "a", "cores": 2}, complete=True))

    assert main(["table", "--out", str(file)]) == 0
    assert "| the walk | a plain one | 4 |" in capsys.readouterr().out


def test_choices_of_engines_do_not_outlive_a_run(tmp_path: Path) -> None:
    """They may have been made while the machine was busy; what was exported stays."""
    folder = tmp_path / "engines" / "model" / "pictures-1"
    folder.mkdir(parents=True)
    (folder / "choice.json").write_text('{"engine": "torch"}')
    (folder / "pictures.onnx").touch()
    setting = Setting(cache=tmp_path)
    assert setting.chosen("model") == "pictures: torch"

    setting.choose_anew()

    assert setting.chosen("model") == ""
    assert (folder / "pictures.onnx").exists()
