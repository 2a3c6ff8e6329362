"""Any CLIP behind the encoder's interface, on a tiny random one of the real layout."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from imagetext.encoder.engine import load_encoder
from imagetext.errors import ModelError


def save_tiny_clip(folder: Path) -> None:
    """A CLIP folder as the hub has them, with random weights and a vocabulary of single letters."""
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    config = CLIPConfig(
        text_config={**tower, **ends, "vocab_size": len(words), "max_position_embeddings": 16},
        vision_config={**tower, "image_size": 32, "patch_size": 16},
        projection_dim=12,
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))


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

    relevance = load_encoder(tmp_path).relevance(np.array([0.1, 0.25, 0.35], dtype=np.float32))

    assert 0 < relevance[0] < 0.05 < relevance[1] < 0.95 < relevance[2] < 1


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    """An empty folder is a ModelError and not a look-up on the hub."""
    with pytest.raises(ModelError, match="holds no CLIP"):
        load_encoder(tmp_path)
