"""Page files: what is wrong with one is told before a browser starts."""

from pathlib import Path

import pytest

from imagetext.wire.errors import InvalidParameter
from tests.training.collect.search_site import PAGE_FILE
from training.collect.__main__ import HERE
from training.collect.search_page import read_page_file


def test_the_shipped_page_files_are_whole() -> None:
    """Each can be read, and says who allows it."""
    files = sorted((HERE / "pages").glob("*.toml"))

    assert files
    assert all(read_page_file(file).permission for file in files)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('permission = "The site is ours."', "", "names no permission. Read http://here/terms"),
        ("?q={words}", "", "{words} in it"),
        ('address = "http', 'address = "file', "http address"),
        ('each = ".result"', "", "result_each is missing"),
        ('each = ".result"', 'each = ".result"\nevery = 1', "unknown key result_every"),
        ("patience_s = 300", 'patience_s = "3"', "patience_s must be a number"),
        ("most = 10", "most = true", "most must be a whole number"),
        ('licence = ".licence"', "", "say where the licence stands"),
        ("source = \"//a[@class='where']@href\"", "", "must lead to the page"),
        ('close = ".close"', "", "needs shown and close"),
        ("[result]", "[result", "readable TOML"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    """One sentence says which key and why."""
    text = PAGE_FILE.format(url="http://here")
    assert old in text
    (tmp_path / "page.toml").write_text(text.replace(old, new))

    with pytest.raises(InvalidParameter) as caught:
        read_page_file(tmp_path / "page.toml")
    assert words in caught.value.detail
