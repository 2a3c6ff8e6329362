"""Models exported once, and from then on read without torch."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from imagetext.engines import Engines
from imagetext.models.captioner.engine import Captioner, DecodingOptions, load_captioner
from imagetext.models.captioner.model import load_in_torch as load_captioner_in_torch
from imagetext.models.encoder.engine import Encoder, load_encoder
from imagetext.models.encoder.load import load_in_torch
from imagetext.models.export import export_model
from imagetext.models.exported import ENCODER, MODEL, name_of
from imagetext.models.folder import CARD
from imagetext.wire.errors import ModelError
from tests.imagetext.captioner.tiny_full_size import tiny_full_size
from tests.imagetext.encoder.tiny_clip import save_tiny_clip
from tests.imagetext.encoder.tiny_scratch import save_tiny_scratch
from tests.without_torch.environment import ROOT, without_torch

ENGINE = "onnxruntime"  # where any will do
TEXTS = ["a dog", "two red dogs and a blue cat", "b"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of every layout: of this project, of transformers, and of the original."""
    folder = tmp_path_factory.mktemp("sources")
    save_tiny_scratch(folder / "scratch")
    save_tiny_clip(folder / "clip")
    tiny_full_size().save_pretrained(folder / "writer")
    return {each.name: each for each in folder.iterdir()}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture
def exported_clip(sources: dict[str, Path], exports: Path, tmp_path: Path) -> Path:
    """A folder with the export of the CLIP, to be damaged."""
    load_encoder(sources["clip"], Engines(exports))
    name = name_of(sources["clip"])
    shutil.copytree(exports / str(name), tmp_path / "exports" / str(name))
    return tmp_path / "exports"


def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def files_in(folder: Path) -> dict[Path, int]:
    """Of all files, when they were written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("kind", ["scratch", "clip"])
def test_an_exported_encoder_is_the_one_in_torch(sources: dict[str, Path], exports: Path, kind: str) -> None:
    """Its name, fingerprint, sizes, tokens and relevance are the same, and its vectors but for rounding."""
    plain, encoder = load_in_torch(sources[kind]), load_encoder(sources[kind], Engines(exports, only=ENGINE))

    assert type(encoder) is Encoder
    for name in ("name", "fingerprint", "dimensions", "parameters", "transform"):
        assert getattr(encoder, name) == getattr(plain, name)
    assert encoder.calibration.to_config() == plain.calibration.to_config()
    for mine, theirs in zip(encoder.tokens(TEXTS), plain.tokens(TEXTS), strict=True):
        assert np.array_equal(mine, theirs)
    inputs = [encoder.prepare(picture())]
    assert np.allclose(encoder.encode_pictures(inputs), plain.encode_pictures(inputs), atol=1e-4)
    assert np.allclose(encoder.encode_texts(TEXTS), plain.encode_texts(TEXTS), atol=1e-4)
    assert {loaded.engine for loaded in encoder.engines.values()} == {ENGINE}


def test_an_exported_captioner_is_the_one_in_torch(sources: dict[str, Path], exports: Path) -> None:
    """What is known of it is the same, and so are the words that it writes and where it looked for them."""
    source = sources["writer"]
    plain, captioner = load_captioner_in_torch(source), load_captioner(source, Engines(exports, only=ENGINE))
    options = DecodingOptions(num_captions=2, max_new_tokens=6, attention=True)
    inputs = [captioner.prepare(picture())]

    found, expected = captioner.caption(inputs, options)[0], plain.caption(inputs, options)[0]

    assert type(captioner) is Captioner
    assert captioner.facts == plain.facts
    assert captioner.vocabulary.banned == plain.vocabulary.banned
    assert [one.text for one in found] == [one.text for one in expected]
    assert [word.text for word in found[0].words] == [word.text for word in expected[0].words]
    grids = [[word.attention for word in one.words] for one in (found[0], expected[0])]
    assert np.allclose(*grids, atol=1e-3)


def test_nothing_is_exported_twice(sources: dict[str, Path], exports: Path) -> None:
    """However often it is asked for, and under whatever path."""
    load_encoder(sources["scratch"], Engines(exports))
    written = files_in(exports)

    load_encoder(sources["scratch"].parent / "clip" / ".." / "scratch", Engines(exports))
    folder = export_model(ENCODER, str(sources["scratch"]), exports)

    assert files_in(exports) == written
    assert folder == exports / str(name_of(sources["scratch"]))
    assert not list(exports.glob("*.unfinished"))


@pytest.mark.parametrize(("source", "file"), [("scratch", "vocabulary.txt"), ("clip", "merges.txt")])
def test_another_content_is_another_export(sources: dict[str, Path], tmp_path: Path, source: str, file: str) -> None:
    """Every file counts that an answer depends on; a model card does not."""
    folder = tmp_path / source
    shutil.copytree(sources[source], folder)
    before = name_of(folder)

    if source == "scratch":
        (folder / CARD).write_text("# another card")
    assert before is not None and before.startswith(f"{source}-")
    assert before == name_of(folder) == name_of(sources[source])
    with (folder / file).open("a") as opened:
        opened.write("more\n")
    assert name_of(folder) != before


_START = """
import sys
from pathlib import Path
from imagetext.models.encoder.engine import load_encoder
from imagetext.engines import Engines
from imagetext.wire.errors import ModelError
try:
    encoder = load_encoder(sys.argv[1], Engines(Path(sys.argv[2])))
    if "networks" in sys.argv:
        encoder.load()
    print(encoder.fingerprint, "torch" in sys.modules)
except ModelError as error:
    print(error.detail)
"""


def start(
    source: Path, engines: Path, environment: dict[str, str] | None = None, *more: str
) -> "subprocess.Popen[str]":
    """A process that loads an encoder as a service does; its networks only with "networks"."""
    command = [sys.executable, "-c", _START, str(source), str(engines), *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def test_starts_together_export_once(sources: dict[str, Path], tmp_path: Path) -> None:
    """One exports in a process of its own, the other waits; neither loads torch, and nothing unfinished stays.

    A later start says and writes nothing.
    """
    source = sources["scratch"]
    answer = f"{load_in_torch(source).fingerprint} False\n"

    said = [each.communicate() for each in [start(source, tmp_path) for _ in range(2)]]
    written = files_in(tmp_path)

    assert [out for out, _ in said] == [answer] * 2, said
    assert "".join(log for _, log in said).count("Exported ") == 1
    assert [folder.name for folder in tmp_path.iterdir()] == [name_of(source)]
    assert start(source, tmp_path).communicate() == (answer, "")
    assert files_in(tmp_path) == written


_KILLED = """
import resource, signal, sys
from imagetext.models.export import main
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
main([f"encoder:{sys.argv[1]}", "--engines", sys.argv[2]])
"""


def test_a_kill_in_the_middle_leaves_no_export(sources: dict[str, Path], exports: Path, tmp_path: Path) -> None:
    """What was half written is taken for nothing: the next start exports anew, and clears it away."""
    source = sources["scratch"]
    load_encoder(source, Engines(exports))
    name = str(name_of(source))
    largest = max(file.stat().st_size for file in (exports / name).iterdir())

    # The kernel kills it while it writes the largest file, which is too large by a byte.
    command = [sys.executable, "-B", "-c", _KILLED, source, tmp_path, str(largest - 1)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert killed.returncode == -signal.SIGXFSZ, killed.stderr
    assert any(tmp_path.rglob("*.onnx"))
    assert not (tmp_path / name).exists()
    load_encoder(source, Engines(tmp_path))
    assert [folder.name for folder in tmp_path.iterdir()] == [name]
    assert {file.name for file in (tmp_path / name).iterdir()} == {file.name for file in (exports / name).iterdir()}


def test_what_an_image_carries_is_only_read(sources: dict[str, Path], exported_clip: Path, tmp_path: Path) -> None:
    """The export in the image is used as it is; what is measured here lies elsewhere."""
    written = files_in(exported_clip)
    for folder in (exported_clip, *exported_clip.iterdir()):
        folder.chmod(0o555)

    encoder = load_encoder(sources["clip"], Engines(tmp_path / "engines", exported=exported_clip))
    encoder.load()

    assert files_in(exported_clip) == written
    assert [folder.name for folder in (tmp_path / "engines").iterdir()] == ["choices"]


def test_what_cannot_be_kept_is_exported_for_this_process(sources: dict[str, Path], tmp_path: Path) -> None:
    """Without a folder that can be written a model starts all the same, and leaves nothing behind."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}

    started = start(sources["scratch"], tmp_path / "file" / "engines", environment)
    answer, log = started.communicate()

    assert answer.endswith(" False\n"), log
    assert "is not writable" in log
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("content", ["", '{"name": "cl', "[]", "{}"])
def test_a_damaged_export_is_a_model_error(sources: dict[str, Path], exported_clip: Path, content: str) -> None:
    """It names the folder, and says that deleting it helps."""
    (file,) = exported_clip.rglob(MODEL)
    file.write_text(content)

    with pytest.raises(ModelError, match=r"clip-.*delete"):
        load_encoder(sources["clip"], Engines(exported_clip))


def test_a_model_of_another_kind_is_refused(sources: dict[str, Path], exported_clip: Path) -> None:
    """Also where it is exported as what it is."""
    with pytest.raises(ModelError):
        load_captioner(sources["clip"], Engines(exported_clip))


@pytest.mark.parametrize("name", ["tokenizer.json", "texts.json", "texts.safetensors"])
def test_an_export_that_lacks_a_file_is_a_model_error(sources: dict[str, Path], exported_clip: Path, name: str) -> None:
    """At the start, and not with the first text."""
    (file,) = exported_clip.rglob(name)
    file.unlink()

    with pytest.raises(ModelError, match=r"clip-.*delete"):
        load_encoder(sources["clip"], Engines(exported_clip)).load()


def test_an_export_without_its_last_file_is_made_anew(sources: dict[str, Path], exported_clip: Path) -> None:
    """It was never finished, or somebody has deleted a part of it."""
    (file,) = exported_clip.rglob(MODEL)
    file.unlink()

    load_encoder(sources["clip"], Engines(exported_clip))

    assert json.loads(file.read_text())["kind"] == "encoder"
    assert list(exported_clip.iterdir()) == [file.parent]


def test_without_torch_a_model_must_have_been_exported(
    sources: dict[str, Path], exported_clip: Path, tmp_path: Path
) -> None:
    """Then it starts; else the error says what is missing and what helps."""
    fingerprint = load_in_torch(sources["clip"]).fingerprint

    exported = start(sources["clip"], exported_clip, without_torch())
    missing = start(sources["clip"], tmp_path / "empty", without_torch())

    assert exported.communicate() == (f"{fingerprint} False\n", "")
    sentence, log = missing.communicate()
    assert "clip must be exported first" in sentence and "install" in sentence, log
    assert sentence.count("\n") == 1


def test_what_cannot_be_exported_is_named_by_its_own_error(tmp_path: Path) -> None:
    """The sentence comes from the process that exports."""
    (tmp_path / "empty").mkdir()

    answer, _ = start(tmp_path / "empty", tmp_path / "engines").communicate()

    assert answer == f"{tmp_path / 'empty'} holds no loadable CLIP model.\n"
    assert not (tmp_path / "engines").exists() or list((tmp_path / "engines").iterdir()) == []


@pytest.fixture
def disputed_clip(exported_clip: Path) -> Path:
    """The export, where what torch is said to give points elsewhere: as if all engines gave something else."""
    (file,) = exported_clip.rglob("texts.safetensors")
    arrays = load_file(file)
    save_file({name: -array if array.dtype == np.float32 else array for name, array in arrays.items()}, file)
    return exported_clip


def test_where_all_engines_disagree_it_runs_in_torch(
    sources: dict[str, Path], disputed_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Slower, with a warning, but with the right vectors."""
    plain, encoder = load_in_torch(sources["clip"]), load_encoder(sources["clip"], Engines(disputed_clip))

    vectors = encoder.encode_texts(TEXTS)
    encoder.load()

    assert np.allclose(vectors, plain.encode_texts(TEXTS), atol=1e-6)
    assert encoder.engines["texts"].engine == "torch"
    assert encoder.engines["pictures"].engine != "torch"
    assert f"texts of {sources['clip']} runs in torch" in caplog.text


def test_where_all_engines_disagree_torch_is_needed(sources: dict[str, Path], disputed_clip: Path) -> None:
    """Without it the start ends with a sentence."""
    sentence, log = start(sources["clip"], disputed_clip, without_torch(), "networks").communicate()

    assert "No engine can run texts" in sentence and "torch" in sentence, log
    assert sentence.count("\n") == 1
