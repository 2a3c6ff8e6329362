"""The kinds of index are compared on a person's own vectors."""

import json

import numpy as np
import pytest

from indexer.__main__ import main
from indexer.build import build
from tests.imagetext.index.conftest import clusters
from tests.indexer.conftest import draw
from tests.indexer.fake_encoder import FakeEncoder


@pytest.fixture
def vectors(tmp_path):
    file = tmp_path / "vectors.npy"
    np.save(file, clusters(3_000))
    return file


def run(*arguments):
    return main(["measure", *map(str, arguments)])


def test_kinds_are_measured_side_by_side(vectors, tmp_path, capsys):
    """One line of JSON each, and nothing is left behind."""
    (tmp_path / "scratch").mkdir()
    status = run("--vectors", vectors, "--kinds", "flat", "ivf", "ivfpq", "--scratch", tmp_path / "scratch", "--json")
    outcomes = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert status == 0
    assert [outcome["kind"] for outcome in outcomes] == ["flat", "ivf", "ivfpq"]
    assert all(outcome["recall"] >= 0.98 for outcome in outcomes)
    memory = [outcome["memory_bytes"] for outcome in outcomes]
    assert memory == sorted(memory, reverse=True)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_people_are_shown_a_table(vectors, capsys):
    """In Markdown, to be pasted; a kind that does not reach the target says how far it came, with status 1."""
    assert run("--vectors", vectors, "--kinds", "flat") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3,000 vectors of 32 numbers, recall of 0.98 or more"
    assert lines[-1].startswith("| flat | vectors.npy |") and lines[-1].count("|") == lines[2].count("|")
    assert run("--vectors", vectors, "--kinds", "ivfpq", "--target-recall", "2") == 1
    assert "between 0.5 and 1" in capsys.readouterr().out


def test_the_current_version_is_measured(images, index, capsys):
    """Its own vectors; without one it is an error."""
    assert run("--index", index) == 1
    assert str(index) in capsys.readouterr().err
    draw(images / "a.png", 1)
    build(images, index, FakeEncoder())

    assert run("--index", index, "--kinds", "flat", "--json") == 0
    assert json.loads(capsys.readouterr().out)["memory_bytes"] == 64


@pytest.mark.parametrize("content", [b"", b"no vectors", np.eye(3)])
def test_what_holds_no_vectors_is_refused(tmp_path, content, capsys):
    """One sentence that names the file."""
    file = tmp_path / "bad.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content)

    assert run("--vectors", file) == 1
    assert "bad.npy" in capsys.readouterr().err
