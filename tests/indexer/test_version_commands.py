"""Versions are shown, checked, switched and removed from the command line, by people and by programs."""

import fcntl
import json

import pytest

from imagetext.index import current_version, list_versions
from imagetext.index.changes.journal_writer import JournalWriter
from indexer.__main__ import main
from indexer.arguments import to_bytes
from indexer.build import build
from indexer.reports import shown_bytes
from tests.imagetext.index.changes import addition
from tests.indexer.conftest import draw
from tests.indexer.fake_encoder import FakeEncoder


@pytest.fixture
def versions(images, index):
    """Three versions; the newest is the current one."""
    (images / "bad\n.png").write_bytes(b"")
    for seed in range(3):
        draw(images / f"{seed}.png", seed)
        build(images, index, FakeEncoder())
    return list_versions(index)


@pytest.fixture
def run(index, capsys):
    """run(command, ...) -> status, what it printed, what it complained of."""

    def call(command, *arguments):
        status = main([command, "--index", str(index), *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def spoil(index, version, name="vectors.npy"):
    file = index / "versions" / version / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_versions_are_listed(run, index, versions):
    """In columns, the current one marked, a damaged one with the reason."""
    (index / "versions" / versions[0] / "rows.sqlite").unlink()
    status, printed, _ = run("versions")
    lines = printed.splitlines()

    assert status == 0
    assert lines[0].split() == [
        "version",
        "pictures",
        "kind",
        "recall",
        "queries/s",
        "exact",
        "memory",
        "skipped",
        "age",
    ]
    assert lines[1] == f"  {versions[0]}  rows.sqlite of index version {versions[0]} is missing."
    assert lines[2].split()[:4] == [versions[1], "2", "flat", "1.000"]
    assert lines[3].split()[:4] == ["*", versions[2], "3", "flat"]
    assert lines[3].split()[-3] == "1" and lines[3].endswith(" s")


def test_versions_are_listed_as_json(run, index, versions):
    """All that GET /v1/index says, and the age."""
    (index / "versions" / versions[0] / "manifest.json").write_text("{}")
    status, printed, _ = run("versions", "--json")
    listed = json.loads(printed)

    assert (status, listed["current"]) == (0, versions[2])
    assert [version["version"] for version in listed["versions"]] == versions
    assert "damaged" in listed["versions"][0]["error"]
    newest = listed["versions"][2]
    assert (newest["size"], newest["kind"], newest["recall"], newest["skipped"]) == (3, "flat", 1.0, 1)
    assert (newest["current"], newest["error"]) == (True, None)
    assert newest["queries_per_second"] > 0 and 0 <= newest["age_s"] < 600


def test_an_empty_index_says_how_to_build_one(run, index):
    """Whatever is asked of it."""
    assert run("versions")[:2] == (
        0,
        f"There is no version yet. Build one: python -m indexer build --images FOLDER --index {index}\n",
    )
    assert json.loads(run("versions", "--json")[1]) == {"current": None, "versions": []}
    for command in ["verify", "rollback", "prune", "skipped"]:
        status, printed, complaint = run(command)
        assert (status, printed) == (1, "")
        assert "python -m indexer build" in complaint and complaint.count("\n") == 1


def test_skipped_files_are_listed_with_their_reasons(run, versions):
    """Of the current version or of another."""
    assert run("skipped")[:2] == (0, "bad\\n.png: The file is empty.\n")
    assert json.loads(run("skipped", versions[0], "--json")[1]) == {
        "version": versions[0],
        "skipped": [{"path": "bad\n.png", "reason": "The file is empty."}],
    }


def test_a_damaged_list_of_skipped_files_is_not_shown(run, index, versions):
    """It is refused in one sentence."""
    spoil(index, versions[2], "skipped.jsonl")
    status, printed, complaint = run("skipped")

    assert (status, printed) == (1, "")
    assert "skipped.jsonl" in complaint and complaint.count("\n") == 1


def test_verifying_reads_every_version(run, index, versions):
    """One damaged byte makes the status 1; the others are still told to be intact."""
    assert run("verify")[:2] == (0, "".join(f"{version} is intact.\n" for version in versions))
    spoil(index, versions[1])
    status, printed, _ = run("verify")
    checked = json.loads(run("verify", "--json")[1])["versions"]

    assert status == 1
    assert [line.endswith("is intact.") for line in printed.splitlines()] == [True, False, True]
    assert f"vectors.npy of index version {versions[1]} is damaged: its checksum differs." in printed
    assert [each["error"] is None for each in checked] == [True, False, True]
    assert run("verify", versions[0])[0] == 0
    assert run("verify", versions[1])[0] == 1


def test_verifying_reads_the_journal_too(run, index, versions):
    """A damaged record is told, and makes the status 1."""
    writer = JournalWriter(index)
    writer.append([addition(index, "a.png")])
    writer.append([addition(index, "b.png")])
    assert run("verify")[0] == 0
    assert json.loads(run("verify", "--json")[1])["journal"] is None
    (file,) = (index / "journal").glob("*.log")
    file.write_bytes(file.read_bytes().replace(b"captions", b"Captions", 1))
    status, printed, _ = run("verify")

    assert (status, printed.splitlines()[-1]) == (1, "The journal is damaged; changes lost: 1 or more.")
    assert run("verify", versions[0])[0] == 0


def test_publishing_switches(run, index, versions):
    """To any intact version that is there."""
    assert run("publish", versions[0]) == (0, f"Published version {versions[0]}.\n", "")
    assert current_version(index) == versions[0]
    assert json.loads(run("publish", versions[2], "--json")[1]) == {"version": versions[2], "before": versions[0]}
    assert current_version(index) == versions[2]


@pytest.mark.parametrize("name", ["vectors.npy", "rows.sqlite", "skipped.jsonl", "manifest.json"])
def test_what_is_damaged_is_not_switched_to(run, index, versions, name):
    """Every byte is read before the switch, forward and back; the current version stays."""
    spoil(index, versions[1], name)
    for command in [("publish", versions[1]), ("rollback",), ("publish", "nonsense")]:
        status, printed, complaint = run(*command)
        assert (status, printed) == (1, "")
        assert complaint.count("\n") == 1 and ("nonsense" in complaint or name in complaint)
    assert current_version(index) == versions[2]


def test_rolling_back_goes_to_the_version_before(run, index, versions):
    """Step by step, until there is none."""
    for version in [versions[1], versions[0]]:
        assert run("rollback")[:2] == (0, f"Published version {version}.\n")
        assert current_version(index) == version
    status, _, complaint = run("rollback")

    assert (status, current_version(index)) == (1, versions[0])
    assert f"no version before {versions[0]}" in complaint


def test_a_damaged_current_file_is_repaired_by_publishing(run, index, versions):
    """Rolling back from nowhere is refused."""
    (index / "CURRENT").write_text("?")

    assert run("rollback")[0] == 1
    assert run("publish", versions[1])[0] == 0
    assert current_version(index) == versions[1]


def test_pruning_keeps_as_many_as_are_asked_for(run, index, versions):
    """And the current one, however old."""
    run("publish", versions[0])
    status, printed, _ = run("prune", "--keep", 1, "--json")

    assert status == 0
    assert json.loads(printed) == {"removed": [versions[1]], "versions": [versions[0], versions[2]]}
    assert run("prune")[:2] == (0, "Removed 0 of 2 versions.\n")


@pytest.mark.parametrize("keep", ["0", "-1", "x", "²"])
def test_pruning_everything_is_refused(run, index, versions, keep):
    """By the command line, which exits with 2."""
    with pytest.raises(SystemExit) as refused:
        run("prune", f"--keep={keep}")
    assert refused.value.code == 2
    assert list_versions(index) == versions


def test_pruning_waits_for_no_build(run, index, versions):
    """A build may be reading the version that would be removed."""
    with (index / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        status, _, complaint = run("prune", "--keep", 1)

    assert status == 1 and "Another build is running" in complaint
    assert list_versions(index) == versions


@pytest.mark.parametrize(
    ("text", "number"), [("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), ("500mb", 5 * 10**8), ("7", 7), ("2k", 2000)]
)
def test_bytes_are_read_as_people_write_them(text, number):
    """Decimal and binary units, in capitals or not."""
    assert to_bytes(text) == number


def test_bytes_are_shown_short():
    """With three digits at most."""
    assert [shown_bytes(number) for number in (5, 999_600, 524_000_000, 2.048e9, 3e12)] == [
        "5 bytes",
        "1 MB",
        "524 MB",
        "2.05 GB",
        "3 TB",
    ]
