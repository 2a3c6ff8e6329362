"""A build on Ray gives what a build in one process gives, whatever happens to the cluster."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from imagetext.wire.errors import InvalidPicture, ModelError, Unavailable
from indexer.build import build
from indexer.distributed.on_ray import reason
from tests.indexer.conftest import content_of, draw, open_current
from tests.indexer.fake_encoder import FakeEncoder
from tests.indexer.sources.conftest import photo, png, write_tar
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
PICTURES, SHARDS = 400, 8

pytest.importorskip("ray", reason="needs Ray: pip install 'ray[data]'")


def on_cluster(images, index, log, *rest):
    """Runs cluster_build.py and returns its summary and what it said beside it."""
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, Path(__file__).with_name("cluster_build.py"), images, index, log, *map(str, rest)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def on_this_machine(code, images, index):
    """Runs the command on a cluster that it starts and ends itself."""
    command = [sys.executable, "-c", code, "build", "--images", images, "--index", index, "--on", "ray", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def shards(tmp_path):
    """Tar files, with a bad member; one with a photo and its caption."""
    folder = tmp_path / "shards"
    for shard in range(SHARDS):
        seeds = range(shard, PICTURES, SHARDS)
        write_tar(folder / f"{shard:02}.tar", {f"{seed:04}.png": png(seed) for seed in seeds} | {"x.png": b"bad"})
    write_tar(folder / "99.tar", {"photo.jpg": photo(9_999), "photo.txt": b"A dog"})
    return folder


def assert_same(index, other):
    """The same rows with all that they say, and vectors that point the same way."""
    with closing(open_current(index)) as one, closing(open_current(other)) as many:
        assert one.rows() == many.rows()
        assert any(row.taken for row in one.rows())
    ours, theirs = content_of(index), content_of(other)
    pairs = zip(ours.values(), theirs.values(), strict=True)
    assert min(float(np.frombuffer(a, "f4") @ np.frombuffer(b, "f4")) for (_, a), (_, b) in pairs) > 0.9999


@pytest.mark.ray
def test_a_lost_node_changes_nothing(shards, index, tmp_path):
    """One of three is killed while it encodes; its work is done again elsewhere."""
    one = build_here(shards, tmp_path / "one")
    log = tmp_path / "log"
    summary, said = on_cluster(shards, index, log, 3, 4)
    killed = said.split("killed ")[1].split()[0]
    nodes = log.read_text().split()

    assert (summary["size"], summary["skipped"]) == (PICTURES + 1, SHARDS)
    assert summary["skipped_files"] == [{"path": file.path, "reason": file.reason} for file in one.skipped]
    assert killed in nodes and set(nodes[nodes.index(killed) :]) - {killed}
    assert_same(index, tmp_path / "one")


def test_the_command_builds_on_ray(images, index, tmp_path):
    """On a cluster of this machine that it starts and ends itself."""
    for seed in range(40):
        draw(images / f"{seed:04}.png", seed)
    (images / "bad.png").write_bytes(b"")
    (images / "photo.jpg").write_bytes(photo(9_999))
    build_here(images, tmp_path / "one")
    code = (
        "import sys; from indexer.__main__ import main; from tests.indexer.fake_encoder import FakeEncoder;"
        "sys.exit(main(sys.argv[1:], load=lambda model: FakeEncoder()))"
    )
    done = on_this_machine(code, images, index)
    summary = json.loads(done.stdout)

    assert (done.returncode, summary["size"], summary["encoded"], summary["skipped"]) == (0, 41, 41, 1), done.stderr
    assert_same(index, tmp_path / "one")


@pytest.mark.ray
def test_what_a_machine_has_to_say_is_said(images, index):
    """One sentence of the actor that met another model, and none of Ray's."""
    draw(images / "a.png", 1)
    code = (
        "import sys, os; from indexer.__main__ import main; from tests.indexer.fake_encoder import FakeEncoder;"
        "sys.exit(main(sys.argv[1:], load=lambda model, here=os.getpid(): FakeEncoder(f'{here == os.getpid()}')))"
    )
    done = on_this_machine(code, images, index)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("A machine of the cluster has another model under the same name")
    assert "Traceback" not in done.stderr


def build_here(place, index):
    from indexer.sources import open_source

    return build(open_source(str(place)), index, FakeEncoder())


def test_what_a_task_meant_to_say_is_said():
    """Ray wraps it in errors of its own; all else is the cluster's failure, and its text is not shown."""
    wrapped = RuntimeError("a long trace")
    wrapped.cause = ModelError("A machine has another model.")
    outer = RuntimeError("another")
    outer.__cause__ = wrapped

    assert reason(outer) is wrapped.cause
    assert isinstance(reason(InvalidPicture("bad")), InvalidPicture)
    assert isinstance(reason(OSError("secret")), Unavailable) and "secret" not in reason(OSError("secret")).detail
