"""A CLIP from scratch behind the encoder's interface, with random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imagetext.models.encoder.engine import load_encoder
from imagetext.models.encoder.scratch import ScratchShape
from imagetext.wire.errors import ModelError
from tests.imagetext.encoder.tiny_scratch import WORDS, save_tiny_scratch


def test_vectors_are_unit_rows_of_both_kinds(tmp_path: Path) -> None:
    """A loaded folder encodes pictures and texts into one space, close to the network that was saved."""
    network = save_tiny_scratch(tmp_path)
    encoder = load_encoder(tmp_path)
    inputs = [encoder.prepare(Image.new("RGB", (60, 40), colour)) for colour in ("red", "blue")]

    pictures, texts = encoder.encode_pictures(inputs), encoder.encode_texts(["A red dog.", "blue", ""])

    with torch.inference_mode():
        expected = network.pictures(torch.from_numpy(encoder.transform.scale(np.stack(inputs))))
    assert (pictures.shape, texts.shape, encoder.dimensions) == ((2, 12), (3, 12), 12)
    assert np.allclose(np.linalg.norm(np.concatenate([pictures, texts]), axis=1), 1, atol=1e-5)
    assert np.allclose(pictures, expected.numpy(), atol=0.02)
    towers = (network.picture, network.text)  # the temperature is for training alone
    assert encoder.parameters == sum(p.numel() for tower in towers for p in tower.parameters())


def test_a_text_has_one_vector_in_any_company(tmp_path: Path) -> None:
    """Padding for a longer text beside it changes nothing, and words beyond the longest text are not read."""
    save_tiny_scratch(tmp_path)
    encoder = load_encoder(tmp_path)

    alone = encoder.encode_texts(["red dog"])[0]
    beside = encoder.encode_texts(["red dog", "blue dog red dog blue"])[0]
    long = encoder.encode_texts(["red " * 6 + "dog", "red " * 6])

    assert np.allclose(alone, beside, atol=1e-5)
    assert np.allclose(long[0], long[1], atol=1e-6)


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    """Ids of other words would be read without an error."""
    save_tiny_scratch(tmp_path, [*WORDS, "cat"])

    with pytest.raises(ModelError, match="8 words, not 7"):
        load_encoder(tmp_path)


def test_broken_shape_is_refused(tmp_path: Path) -> None:
    """A size that the network does not know is an error of the model."""
    with pytest.raises(ModelError, match="shape"):
        ScratchShape.from_config({"vocabulary": 7, "widths": [8], "blocks": [1], "colour": 3})
