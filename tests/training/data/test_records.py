"""The merged format: one table, written whole or not at all, and read only when it is sound."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagetext.wire.errors import InvalidParameter
from training.data.records import TABLE, Record, is_merged, read_records, write_records

RECORD = Record(
    path="Images/a/dög.jpg",
    captions=("A dog , running .", "Ein Hund — schnell ."),
    split="dev",
    source="drawn",
    width=120,
    height=90,
    sha256="0" * 64,
    dhash="1" * 16,
    phash="f" * 16,
    author="Ada",
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every column comes back as it was, in the same order, also from an empty table."""
    records = [
        RECORD,
        replace(RECORD, path="Images/b.jpg", captions=("One .",), licence="CC0", source_url="http://a/b"),
    ]

    write_records(tmp_path / "new", records)

    assert is_merged(tmp_path / "new") and not is_merged(tmp_path)
    assert read_records(tmp_path / "new") == records
    write_records(tmp_path / "new", [])
    assert read_records(tmp_path / "new") == []
    assert [path.name for path in (tmp_path / "new").iterdir()] == [TABLE]


def test_any_parquet_reader_understands_it(tmp_path: Path) -> None:
    """Captions are a list of strings, sizes are whole numbers, and nothing is null."""
    write_records(tmp_path, [RECORD])

    table = pq.read_table(tmp_path / TABLE)

    assert table.schema.field("captions").type == pa.list_(pa.string())
    assert {str(table.schema.field(name).type) for name in ("width", "height")} == {"int32"}
    assert table.to_pylist()[0]["captions"] == list(RECORD.captions)
    assert not any(table.column(name).null_count for name in table.column_names)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"path": "elsewhere/a.jpg"}, "does not lie below Images/"),
        ({"path": "Images/../../a.jpg"}, "does not lie below Images/"),
        ({"path": "/Images/a.jpg"}, "does not lie below Images/"),
        ({"path": "Images"}, "does not lie below Images/"),
        ({"captions": ()}, "has no caption"),
        ({"captions": ("One .", "  ")}, "has no caption, or an empty one"),
        ({"split": "val"}, "there are train, dev, test"),
        ({"source": ""}, "names no source"),
        ({"width": 0}, "0 x 90 pixels"),
        ({"sha256": "F" * 64}, "a hash that is none"),
        ({"phash": "12"}, "a hash that is none"),
    ],
)
def test_impossible_records_are_refused(change: dict[str, object], sentence: str) -> None:
    """A record cannot be made with a value that no picture has, and the error names the picture."""
    with pytest.raises(InvalidParameter, match=sentence):
        replace(RECORD, **change)


def test_two_records_of_one_path_are_refused(tmp_path: Path) -> None:
    """A table that would name a picture twice is not written, and the one before it stays."""
    write_records(tmp_path, [RECORD])

    with pytest.raises(InvalidParameter, match="2 records have the path Images/a/dög"):
        write_records(tmp_path, [RECORD, RECORD])
    assert read_records(tmp_path) == [RECORD]


def test_other_tables_are_refused(tmp_path: Path) -> None:
    """A missing or damaged table, one of another version, and one of other columns are errors with their name."""
    with pytest.raises(InvalidParameter, match="holds no pictures"):
        read_records(tmp_path)
    write_records(tmp_path, [RECORD])
    whole = (tmp_path / TABLE).read_bytes()
    (tmp_path / TABLE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidParameter, match="cannot be read"):
        read_records(tmp_path)
    (tmp_path / TABLE).write_bytes(whole)
    table = pq.read_table(tmp_path / TABLE)
    for other in (table.replace_schema_metadata({"imagetext.pictures": "2"}), table.drop_columns(["author"])):
        pq.write_table(other, tmp_path / TABLE)
        with pytest.raises(InvalidParameter, match="not a table of this version"):
            read_records(tmp_path)
