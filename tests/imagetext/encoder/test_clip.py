"""Any CLIP behind the encoder's interface, on a tiny random one of the real layout."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from imagetext.models.encoder.clip import packaged_tokenizer
from imagetext.models.encoder.engine import load_encoder
from imagetext.wire.errors import ModelError
from tests.imagetext.encoder.tiny_clip import save_like_the_original, save_tiny_clip

needs_vocabulary = pytest.mark.skipif(
    find_spec("open_clip") is None, reason="needs CLIP's vocabulary: pip install --no-deps open_clip_torch"
)


def test_clip_folder_loads_with_its_own_transform(tmp_path: Path) -> None:
    """Pictures are cropped and scaled as the folder's preprocessor says; vectors are unit rows of both kinds."""
    save_tiny_clip(tmp_path)
    encoder = load_encoder(tmp_path)
    inputs = [encoder.prepare(Image.new("RGB", (60, 40), colour)) for colour in ("red", "blue", "green")]

    pictures = encoder.encode_pictures(inputs)
    texts = encoder.encode_texts(["a dog", "b" * 200])

    assert inputs[0].shape == (3, 32, 32)
    assert pictures.shape == (3, encoder.dimensions) == (3, 12)
    assert texts.shape == (2, 12)
    assert np.allclose(np.linalg.norm(np.concatenate([pictures, texts]), axis=1), 1, atol=1e-5)


def test_fingerprint_belongs_to_the_weights(tmp_path: Path) -> None:
    """The same folder gives the same fingerprint, other weights another."""
    save_tiny_clip(tmp_path / "one")
    save_tiny_clip(tmp_path / "two")

    one = load_encoder(tmp_path / "one").fingerprint

    assert load_encoder(tmp_path / "one").fingerprint == one
    assert load_encoder(tmp_path / "two").fingerprint != one


def test_relevance_rises_with_the_score(tmp_path: Path) -> None:
    """Relevance is a probability that grows with similarity."""
    save_tiny_clip(tmp_path)

    encoder = load_encoder(tmp_path)
    query = encoder.encode_texts(["a dog"])[0]

    relevance = encoder.relevance(query, np.array([0.1, 0.25, 0.35], dtype=np.float32))

    assert 0 < relevance[0] < 0.05 < relevance[1] < 0.95 < relevance[2] < 1


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    """An empty folder is a ModelError and not a look-up on the hub."""
    with pytest.raises(ModelError, match="holds no loadable CLIP"):
        load_encoder(tmp_path)


def test_folder_that_lacks_tensors_is_refused(tmp_path: Path) -> None:
    """A tower that would begin with random weights is an error and not a model."""
    save_tiny_clip(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["text_projection.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})

    with pytest.raises(ModelError, match="lacks 1 tensor"):
        load_encoder(tmp_path)


@needs_vocabulary
def test_the_originals_folder_loads_with_its_own_transform(tmp_path: Path) -> None:
    """Config and pickled weights are enough: pictures are squashed to the model's size in [0, 1], and nothing else."""
    model = save_like_the_original(tmp_path)
    encoder = load_encoder(tmp_path)
    picture = Image.new("RGB", (60, 40), "red")
    picture.paste("blue", (0, 0, 30, 40))
    prepared = encoder.prepare(picture)

    vector = encoder.encode_pictures([prepared])

    squashed = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    with torch.inference_mode():
        pixels = torch.from_numpy(squashed.transpose(2, 0, 1).copy())[None]
        expected = model(input_ids=torch.tensor([[1]]), pixel_values=pixels).image_embeds
    assert np.allclose(vector, expected.numpy(), atol=1e-5)


@needs_vocabulary
def test_the_originals_folder_reads_32_of_clips_own_tokens(tmp_path: Path) -> None:
    """A folder without tokenizer takes CLIP's; what comes after the 32nd token changes nothing."""
    model = save_like_the_original(tmp_path)
    encoder = load_encoder(tmp_path)

    short, long, longer = encoder.encode_texts(["a photo of a cat", "cat " * 31, "cat " * 40])

    with torch.inference_mode():
        ids = torch.tensor([[49406, 320, 1125, 539, 320, 2368, 49407]])  # as OpenAI's tokenizer has them
        expected = model(input_ids=ids, pixel_values=torch.zeros(1, 3, 32, 32)).text_embeds[0]
    assert np.allclose(short, expected.numpy(), atol=1e-5)
    assert np.array_equal(long, longer)


@needs_vocabulary
def test_a_vocabulary_larger_than_the_models_is_refused(tmp_path: Path) -> None:
    """CLIP's tokenizer would give ids for which a smaller model has no vectors."""
    save_tiny_clip(tmp_path)
    (tmp_path / "vocab.json").unlink()

    with pytest.raises(ModelError, match="more words"):
        load_encoder(tmp_path)


def test_missing_vocabulary_says_where_to_find_it() -> None:
    """Without the package the error names the files that a folder needs."""
    with pytest.raises(ModelError, match="openai/clip-vit-base-patch16"):
        packaged_tokenizer("no_such_package")


def test_damaged_vocabulary_is_refused(tmp_path: Path) -> None:
    """A package without the file is an error that names it."""
    with pytest.raises(ModelError, match="bpe_simple_vocab"):
        packaged_tokenizer("json")


def test_folder_of_another_architecture_is_refused(tmp_path: Path) -> None:
    """A folder of this project that is no encoder is not taken for a CLIP."""
    shutil.copytree(Path(__file__).resolve().parents[3] / "models" / "caption-gru", tmp_path / "captioner")

    with pytest.raises(ModelError, match="no loadable encoder"):
        load_encoder(tmp_path / "captioner")
