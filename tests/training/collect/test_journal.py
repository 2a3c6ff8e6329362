"""Records that survive a crash."""

from pathlib import Path

import pytest

from imagetext.wire.errors import Busy, InvalidParameter
from training.collect.collection import Journal


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    """In order, with every character, by another process too."""
    Journal(tmp_path / "new" / "a.jsonl").append({"text": "Ein Bär\u2028 schläft"})
    Journal(tmp_path / "new" / "a.jsonl").append({"text": "two"})

    assert Journal(tmp_path / "new" / "a.jsonl").read() == [{"text": "Ein Bär\u2028 schläft"}, {"text": "two"}]


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    """A crash in the middle of a line costs that line and none of the next."""
    journal = Journal(tmp_path / "a.jsonl")
    journal.append({"number": 1})
    with journal.file.open("ab") as file:
        file.write(b'{"number": 2, "te')

    assert journal.read() == [{"number": 1}]
    journal.append({"number": 3})
    assert journal.read() == [{"number": 1}, {"number": 3}]


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b"\xff\n"])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    """A line that no crash can have left is an error that says where."""
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n' + line)

    with pytest.raises(InvalidParameter, match=r"Line 2 of .*a\.jsonl"):
        Journal(tmp_path / "a.jsonl").read()


def test_only_one_writes(tmp_path: Path) -> None:
    """A second holder is sent away, until the first lets go."""
    journal = Journal(tmp_path / "a.jsonl")

    with journal.held(), pytest.raises(Busy), Journal(tmp_path / "a.jsonl").held():
        pass
    with journal.held():
        pass
