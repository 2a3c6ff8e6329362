"""A list of captions and addresses to a data set: what is kept, what is lost and why; nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import PATIENCE, wait_until
from training.data.__main__ import main
from training.data.conceptual import JOURNAL, Rows
from training.data.downloads import Journal
from training.data.records import read_records
from training.dataset import read_split

ROOT = Path(__file__).resolve().parents[3]
QUICK = ["--wait", "0.01", "--attempts", "2", "--max-seconds", str(PATIENCE), "--pause", "0"]
QUICK += ["--max-bytes", "300000", "--allow-private"]


def write_list(file: Path, rows: list[tuple[str, str]]) -> Path:
    file.write_text("".join(f"{caption}\t{address}\n" for caption, address in rows))
    return file


def command(tsv: Path, into: Path, *more: str) -> list[str]:
    return ["conceptual", "--tsv", str(tsv), "--into", str(into), *QUICK, *more]


def test_rows_are_read_as_they_are(tmp_path: Path) -> None:
    """Captions keep everything but spare blanks; lines without both parts, and in no UTF-8, are counted apart."""
    file = tmp_path / "list.tsv"
    file.write_bytes(
        "a  dog — runs\thttp://a.example/1\r\n\tno caption\nno address\nthree\tparts\there\n".encode()
        + b"\xff\xfe\thttp://a.example/2\nactor attends\thttp://a.example/3"
    )

    assert list(Rows((file,))) == [("a dog — runs", "http://a.example/1"), ("actor attends", "http://a.example/3")]
    assert Rows((file,)).count() == (2, 4)
    assert Rows((file, file), limit=7).count() == (3, 4)


def test_a_list_becomes_a_data_set(tmp_path: Path, site, address: str, capsys) -> None:
    """Good pictures are kept with captions and address; everything else is counted under its reason."""
    paths = [
        "picture/1",
        "small/1",
        "picture/2",
        "picture/2?again",
        "picture/2",
        "nothing",
        "text",
        "truncated",
        "bomb",
    ]
    paths += [
        "endless",
        "loop",
        "reset",
        "recovers",
        "tiny",
        "opted-out",
        *(f"placeholder/{n}" for n in range(6)),
    ]
    rows = [(f"caption {number}", f"{address}/{path}") for number, path in enumerate(paths)]
    tsv = write_list(tmp_path / "list.tsv", [*rows, ("no address", "not an address")])
    with tsv.open("a") as file:
        file.write("a line of its own\n")
    into = tmp_path / "into"

    assert main(command(tsv, into, "--contact", "me@there.example")) == 0

    records = {record.source_url: record for record in read_records(into)}
    assert [url.removeprefix(f"{address}/") for url in records] == ["picture/1", "picture/2", "recovers"]
    assert records[f"{address}/picture/2"].captions == ("caption 2", "caption 3", "caption 4")
    assert {record.source for record in records.values()} == {"conceptual-captions"}
    report = json.loads((into / "report.json").read_text())
    assert report["lost"] == {
        "placeholder": 6,
        "near-duplicate": 1,
        "gone": 1,
        "not a picture": 1,
        "damaged": 1,
        "too large": 2,
        "too many redirects": 1,
        "broken off": 1,
        "too small": 1,
        "opted out": 1,
        "bad address": 1,
    }
    assert (report["rows"], report["bad_lines"], report["pictures"], report["captions"]) == (22, 1, 3, 5)
    assert report["rows"] == sum(report["lost"].values()) + report["captions"]
    assert (into / "report.md").read_text() == capsys.readouterr().out
    kept = sorted(str(path.relative_to(into)) for path in (into / "Images").rglob("*") if path.is_file())
    assert kept == sorted(record.path for record in records.values())
    assert main(["check", "--files", str(into)]) == 0
    [agent] = site.agents
    assert agent.startswith("imagetext/") and "me@there.example" in agent


def test_what_never_ends_is_too_slow(tmp_path: Path, address: str) -> None:
    """It is left after the time that a picture may take."""
    tsv = write_list(tmp_path / "list.tsv", [("a caption", f"{address}/slow")])

    assert main(command(tsv, tmp_path / "into", "--max-seconds", "1")) == 0

    assert json.loads((tmp_path / "into" / "report.json").read_text())["lost"] == {"too slow": 1}


def test_a_second_run_asks_nobody(tmp_path: Path, site, address: str) -> None:
    """All of it is known: no request, the same table; --again asks only where the failure may have passed."""
    paths = ["picture/1", "picture/2", "placeholder/1", "nothing", "status/500", "truncated"]
    tsv = write_list(tmp_path / "list.tsv", [(path, f"{address}/{path}") for path in paths])
    into = tmp_path / "into"
    assert main(command(tsv, into)) == 0
    table, before = read_records(into), site.visits.copy()

    assert main(command(tsv, into)) == 0
    assert site.visits == before and read_records(into) == table

    assert main(command(tsv, into, "--again")) == 0
    assert site.visits - before == {"status/500": 2} and read_records(into) == table


def test_a_lost_file_is_fetched_again(tmp_path: Path, site, address: str) -> None:
    """The journal alone does not count: a picture whose file is gone comes again."""
    tsv = write_list(tmp_path / "list.tsv", [("one", f"{address}/picture/1"), ("two", f"{address}/picture/2")])
    into = tmp_path / "into"
    assert main(command(tsv, into)) == 0
    (into / read_records(into)[0].path).unlink()

    assert main(command(tsv, into)) == 0

    assert site.visits == {"picture/1": 2, "picture/2": 1}
    assert main(["check", "--files", str(into)]) == 0


def test_more_rows_change_no_split(tmp_path: Path, address: str) -> None:
    """A longer list adds pictures; those that were there stay in their splits, and every split gets some."""
    rows = [(f"caption {number}", f"{address}/picture/{number}") for number in range(60)]
    tsv, into = write_list(tmp_path / "list.tsv", rows), tmp_path / "into"
    shares = ["--dev", "0.2", "--test", "0.2", "--per-host", "8"]

    assert main(command(tsv, into, "--limit", "30", *shares)) == 0
    before = {record.source_url: record.split for record in read_records(into)}
    assert main(command(tsv, into, *shares)) == 0
    after = {record.source_url: record.split for record in read_records(into)}

    assert len(before) == 30 and len(after) == 60
    assert before.items() <= after.items()
    assert set(after.values()) == {"train", "dev", "test"}
    assert main(["check", str(into)]) == 0
    assert len(read_split(into, "train")) == list(after.values()).count("train")


def test_placeholders_stay_out(tmp_path: Path, address: str) -> None:
    """A file that was at too many addresses is not taken later either, when a new list has it once."""
    many = write_list(tmp_path / "many.tsv", [(str(n), f"{address}/placeholder/{n}") for n in range(8)])
    more = write_list(tmp_path / "more.tsv", [("new", f"{address}/placeholder/new"), ("one", f"{address}/picture/1")])
    into = tmp_path / "into"
    assert main(command(many, into)) == 0
    assert read_records(into) == []

    both = ["conceptual", "--tsv", str(many), str(more), "--into", str(into), *QUICK]
    assert main(both) == 0

    assert [record.captions for record in read_records(into)] == [("one",)]


def test_pictures_can_be_made_smaller(tmp_path: Path, address: str) -> None:
    """With --side the shorter side is scaled down, the shape stays, the split is that of the original."""
    tsv = write_list(tmp_path / "list.tsv", [(str(n), f"{address}/picture/{n}") for n in range(8)])
    shares = ["--dev", "0.3", "--test", "0.3"]

    assert main(command(tsv, tmp_path / "large", *shares)) == 0
    assert main(command(tsv, tmp_path / "small", *shares, "--side", "64", "--shards")) == 0

    large, small = read_records(tmp_path / "large"), read_records(tmp_path / "small")
    assert {(record.width, record.height) for record in large} == {(120, 90)}
    assert {(record.width, record.height) for record in small} == {(85, 64)}
    assert [record.split for record in large] == [record.split for record in small]
    assert main(["check", "--files", str(tmp_path / "small")]) == 0
    assert list((tmp_path / "small" / "shards").glob("*.tar"))


def test_private_addresses_need_the_option(tmp_path: Path, site, address: str) -> None:
    """Without --allow-private our own network stays closed."""
    tsv = write_list(tmp_path / "list.tsv", [("one", f"{address}/picture/1")])
    quick = [word for word in command(tsv, tmp_path / "into") if word != "--allow-private"]

    assert main(quick) == 0

    assert not site.visits
    assert json.loads((tmp_path / "into" / "report.json").read_text())["lost"] == {"private address": 1}


def test_what_cannot_begin_says_why(tmp_path: Path, write_set, draw: Callable[..., bytes], capsys) -> None:
    """No list, a folder with another data set, a folder in use, impossible sizes: a sentence and exit status 1."""
    tsv = write_list(tmp_path / "list.tsv", [])
    write_set(tmp_path / "other", {"a.jpg": ("train", draw(1))})

    assert main(command(tmp_path / "none.tsv", tmp_path / "into")) == 1
    assert "none.tsv is missing" in capsys.readouterr().err
    assert main(command(tsv, tmp_path / "other")) == 1
    assert "holds a data set that was not collected here" in capsys.readouterr().err
    assert main(command(tsv, tmp_path / "into", "--side", "32")) == 1
    assert "64 are needed" in capsys.readouterr().err
    with Journal(tmp_path / "into" / JOURNAL):
        assert main(command(tsv, tmp_path / "into")) == 1
    assert "Another run writes into" in capsys.readouterr().err
    (tmp_path / "into" / JOURNAL).write_bytes(b"no journal" * 1000)
    assert main(command(tsv, tmp_path / "into")) == 1
    assert "is damaged" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(command(tsv, tmp_path / "into", "--limit", "0"))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_resumed(tmp_path: Path, site, address: str, blow: signal.Signals) -> None:
    """A run killed in the middle goes on: what is there is not fetched again, and the end is as if never disturbed."""
    number, at_once, site.free = 30, 2, 12
    rows = [(f"caption {n}", f"{address}/picture/{n}") for n in range(number)]
    tsv, into = write_list(tmp_path / "list.tsv", rows), tmp_path / "into"
    words = command(tsv, into, "--per-host", str(at_once))
    process = subprocess.Popen(
        [sys.executable, "-m", "training.data", *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: site.visits.total() == site.free + at_once or process.poll() is not None)
    process.send_signal(blow)
    assert process.wait(PATIENCE) == (-signal.SIGKILL if blow is signal.SIGKILL else 130)
    site.go_on.set()
    with Journal(into / JOURNAL) as journal:
        there = [url for _, url in rows if journal.find(url)]
    (into / "Images" / "00").mkdir(exist_ok=True)
    (into / "Images" / "00" / ".00.jpg.1.part").write_bytes(b"half")
    before = site.visits.copy()
    assert site.free - 2 * at_once <= len(there) <= site.free and before.total() < number

    assert main(words) == 0

    asked = {f"{address}/{path}" for path in site.visits - before}
    assert asked == {url for _, url in rows} - set(there)
    assert site.visits.total() <= number + at_once
    assert [record.captions for record in read_records(into)] == [(caption,) for caption, _ in rows]
    assert not list((into / "Images").rglob("*.part"))
    assert main(["check", "--files", str(into)]) == 0
