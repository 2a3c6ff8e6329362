"""The command line: what it prints, where, and with which status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import indexer
from imagetext.index import current_version, list_versions, read_manifest, version_folder
from imagetext.wire.errors import ModelError
from indexer.__main__ import main
from tests.indexer.conftest import draw
from tests.indexer.fake_encoder import FakeEncoder
from tests.patience import PATIENCE


def run(*arguments, load=lambda _: FakeEncoder()):
    return main([str(argument) for argument in arguments], load=load)


def test_a_build_prints_its_summary(images, index, draw_many, capsys):
    """For people, on the standard output; nothing on the other where there is no terminal."""
    draw_many(5)
    (images / "bad\n.png").write_bytes(b"")
    status = run("build", "--images", images, "--index", index)
    printed = capsys.readouterr()

    assert (status, printed.err) == (0, "")
    first, last = printed.out.splitlines()
    assert first == "skipped bad\\n.png: The file is empty."
    assert last.startswith(
        f"Published version {current_version(index)} with 5 pictures: 5 encoded, 0 reused, 1 skipped"
    )


def test_many_skipped_files_are_not_all_printed(images, index, capsys):
    """People are told where the whole list is."""
    draw(images / "a.png", 1)
    for number in range(30):
        (images / f"bad{number:02}.png").write_bytes(b"")
    run("build", "--images", images, "--index", index)
    lines = capsys.readouterr().out.splitlines()

    assert len(lines) == 12
    assert lines[10] == "... and 20 more, see skipped.jsonl of the version"


def test_a_build_prints_json(images, index, draw_many, capsys):
    """For machines, one line; a second build says that nothing changed."""
    draw_many(5)
    for changed in [True, False]:
        status = run("build", "--images", images, "--index", index, "--json")
        summary = json.loads(capsys.readouterr().out)

        assert status == 0
        assert (summary["changed"], summary["size"], summary["version"]) == (changed, 5, current_version(index))


def test_nothing_changed_is_said_in_words(images, index, draw_many, capsys):
    """With the version that stays."""
    draw_many(2)
    run("build", "--images", images, "--index", index)
    capsys.readouterr()
    status = run("build", "--images", images, "--index", index)

    assert status == 0
    assert capsys.readouterr().out == f"Nothing has changed since version {current_version(index)} with 2 pictures.\n"


def test_the_kind_of_index_is_as_asked_and_stays_so(images, index, draw_many, capsys):
    """Until something else is asked; a kind that gives the same is no reason for a new version."""
    draw_many(3)
    kinds = [[], ["--kind", "flat"], ["--target-recall", "0.9", "--max-memory", "1GB"], ["--kind", "auto"]]
    for options in kinds:
        assert run("build", "--images", images, "--index", index, *options) == 0
    assert len(list_versions(index)) == 1
    draw(images / "more.png", 77)
    assert run("build", "--images", images, "--index", index, "--max-memory", "1.5MiB", "--kind", "hnsw") == 0
    draw(images / "most.png", 78)
    assert run("build", "--images", images, "--index", index) == 0
    wanted = [read_manifest(version_folder(index, version)).options for version in list_versions(index)]

    assert [(each.kind, each.max_memory) for each in wanted] == [("auto", None), *[("hnsw", 3 * 2**19)] * 2]


@pytest.mark.parametrize("options", [["--max-memory", "much"], ["--kind", "lsh"], ["--target-recall", "x"]])
def test_options_that_make_no_sense_are_refused(images, index, options):
    """By the command line itself, which exits with 2."""
    with pytest.raises(SystemExit) as refused:
        run("build", "--images", images, "--index", index, *options)
    assert refused.value.code == 2


@pytest.mark.parametrize("options", [["--max-memory", "100"], ["--target-recall", "1.5"]])
def test_an_impossible_index_is_an_error(images, index, draw_many, options, capsys):
    """One sentence, and no version."""
    draw_many(3)

    assert run("build", "--images", images, "--index", index, *options) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list_versions(index) == []


def test_the_model_is_named_by_an_option(images, index, draw_many):
    """Its default is the folder of the compact model."""
    draw_many(1)
    asked = []

    def load(source):
        asked.append(source)
        return FakeEncoder()

    run("build", "--images", images, "--index", index, load=load)
    run("build", "--images", images, "--index", index, "--model", "some/clip", load=load)

    assert asked == ["models/retrieval", "some/clip"]


@pytest.mark.parametrize("folder", ["nowhere", "empty", "bad", "file"])
def test_a_folder_without_pictures_is_an_error(images, index, folder, capsys):
    """One sentence that names it, status 1, no index."""
    (images / "empty").mkdir()
    (images / "bad").mkdir()
    (images / "bad" / "a.jpg").write_bytes(b"x")
    (images / "file").write_bytes(b"x")
    status = run("build", "--images", images / folder, "--index", index)
    printed = capsys.readouterr()

    assert (status, printed.out) == (1, "")
    assert str(images / folder) in printed.err and printed.err.count("\n") == 1
    assert current_version(index) is None


def test_a_model_that_cannot_be_loaded_is_an_error(images, index, draw_many, capsys):
    """The sentence is the model's own."""
    draw_many(1)

    def load(source):
        raise ModelError(f"{source} holds no model.")

    assert run("build", "--images", images, "--index", index, load=load) == 1
    assert capsys.readouterr().err == "models/retrieval holds no model.\n"


def test_the_folder_is_looked_at_before_the_model_is_loaded(images, index, capsys):
    """A typing error should not cost seconds."""

    def load(source):
        raise AssertionError("loaded")

    assert run("build", "--images", images / "nowhere", "--index", index, load=load) == 1
    assert "nowhere" in capsys.readouterr().err


def test_an_index_that_cannot_be_written_is_an_error(images, tmp_path, draw_many, capsys):
    """A file in place of the folder, for example."""
    draw_many(1)
    (tmp_path / "file").write_text("x")
    for index in [tmp_path / "file", tmp_path / "file" / "index"]:
        assert run("build", "--images", images, "--index", index) == 1
        complaint = capsys.readouterr().err
        assert "file" in complaint and complaint.count("\n") == 1


ROOT = Path(indexer.__file__).parents[1]


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **options,
    )


def test_the_module_runs(images, index):
    """`python -m indexer` answers without a traceback, and without loading torch for what needs no model."""
    refused = python("-m", "indexer", "build", "--images", images / "nowhere", "--index", index)
    listed = python("-X", "importtime", "-m", "indexer", "versions", "--index", index)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Traceback" not in refused.stderr and "nowhere" in refused.stderr
    assert listed.returncode == 0
    assert "imagetext.index" in listed.stderr and " torch\n" not in listed.stderr


def test_names_that_a_terminal_cannot_show_are_escaped(images, index):
    """Also where the output takes ASCII only."""
    draw(images / "a.png", 1)
    (images / os.fsdecode(b"\xff\xc3\xa4\x1b[31m.png")).write_bytes(b"")
    script = Path(__file__).parent / "slow_build.py"
    code = (
        f"import sys; sys.path.insert(0, {str(script.parent)!r}); sys.stdout.reconfigure(encoding='ascii');"
        "from fake_encoder import FakeEncoder; from indexer.__main__ import main;"
        f"main(['build', '--images', {str(images)!r}, '--index', {str(index)!r}], load=lambda _: FakeEncoder())"
    )
    done = python("-c", code)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "skipped \\udcff\\xe4\\x1b[31m.png: The file is empty."


@pytest.mark.parametrize("limit", [100, 3_000, 9_000, 20_000, 60_000])
def test_a_full_disk_is_one_sentence_and_no_version(images, index, draw_many, limit):
    """Wherever the space ends, the index is as before, and a build with more space succeeds."""
    draw_many(200)
    script = Path(__file__).parent / "slow_build.py"
    limited = (  # not by preexec_fn: after a fork without exec, libraries of other tests say things on stderr
        f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    done = python("-c", limited, script, images, index)

    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    assert list_versions(index) == []
    assert python(script, images, index).returncode == 0
