"""Results as tables, for a terminal and for docs/benchmarks.md."""

from pathlib import Path

import pytest

from bench.catalogue import THRESHOLDS
from bench.report import Report, kept_reports
from bench.tables import END, PAGE, START, markdown, table, write_into
from tests.bench.fakes import result

MACHINE = {"cpu": "A", "cores": 2, "flags": ["avx2"], "packages": {"torch": "2.13.0"}, "load": 0.1, "commit": "abc"}


def test_the_table_names_what_is_missed_failed_and_skipped() -> None:
    """In the last column; a target that nobody set is empty."""
    lines = table(
        [
            result("walk", 1.0, target=None),
            result("run", None, error="OSError: gone"),
            result("swim", None, skipped="no water"),
            result("climb", 1.5, lower_is_better=True, threshold=2.0),
        ]
    ).splitlines()

    assert "threshold" in lines[0]
    assert lines[1].endswith("MISSED")
    assert lines[2].endswith("FAILED: OSError: gone")
    assert lines[3].endswith("skipped: no water")
    assert "≤ 2" in lines[4]


def test_instruction_sets_stand_side_by_side() -> None:
    """Each with its own thresholds; what was not measured says so, and a missed threshold, too."""
    avx2 = [
        result("text-minilm", 2.5),
        result("search", 1.9, lower_is_better=True),
        result("infinity-16", None, skipped="-"),
    ]
    text = markdown({"avx2": Report(MACHINE, avx2)})

    assert "| row | AVX2 | threshold | target | AVX-512 VNNI | threshold | target |" in text
    assert "| `text-minilm` | **2.5 ± 0.5, missed** | 3 |  | to be measured | 5 | 8 |" in text
    assert "| `search` | 1.9 ± 0.5 | ≤ 2 | ≤ 1.4 | to be measured | ≤ 2 | ≤ 1.4 |" in text
    assert "| `infinity-16` | skipped | 1.5 | 3 | to be measured | 1.5 | 3 |" in text
    assert "**AVX2**: measured None on 2 cores of A (avx2), load 0.1 before, commit abc, torch 2.13.0." in text
    assert "**AVX-512 VNNI**: to be measured." in text
    assert all(f"| `{row}` |" in text for row in THRESHOLDS)


def test_other_instruction_sets_have_a_column_once_they_are_measured() -> None:
    """With a ceiling and the parts of a resumed run in the line on the machine."""
    text = markdown({"amx": Report(MACHINE | {"ceiling": "ALL", "resumed": ["noon"]}, [result("text-minilm", 9.0)])})

    assert "| AMX | threshold | target |" in text
    assert "ONEDNN_MAX_CPU_ISA=ALL, resumed noon, load" in text


def test_the_indexer_beside_its_parts() -> None:
    """From the details of its rows."""
    indexing = result("indexing", 14.0, ours=431.0, floor=723.0, details={"reading alone": 1267.0})
    png = result("formats-png", 0.9, ours=20.0, details={"decoding alone": 25.0, "of decoding alone": 0.8})
    text = markdown({"avx2": Report(MACHINE, [indexing, png])})

    assert "| reading and decoding alone | 1267 | to be measured |" in text
    assert "| `models/retrieval` alone | 723 | to be measured |" in text
    assert "| `formats-png` | 20 / 25 | 0.8 | to be measured | to be measured |" in text


def test_tables_are_written_between_the_marks(tmp_path: Path) -> None:
    """The rest of the page stays; a page without marks is an error."""
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n{START}old\n{END}The end.\n")

    write_into(page, "new\n")
    assert page.read_text() == f"# Page\n{START}new\n{END}The end.\n"

    page.write_text("# Page\n")
    with pytest.raises(ValueError, match="lacks the lines"):
        write_into(page, "new\n")


def test_the_page_shows_the_kept_runs() -> None:
    """docs/benchmarks.md has what `python -m bench table --write` writes."""
    shown = PAGE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]

    assert shown == markdown(kept_reports())
