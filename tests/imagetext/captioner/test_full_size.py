"""Vision-encoder-decoder models in the original's layout, on small random weights."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import VisionEncoderDecoderModel, ViTConfig, ViTModel

from imagetext.models.captioner.engine import Captioner, DecodingOptions, load_captioner
from imagetext.models.encoder.minilm import load_minilm
from imagetext.wire.errors import ModelError
from tests.imagetext.captioner.tiny_full_size import SIZE, tiny_full_size

LENGTH = 8


@pytest.fixture(scope="module")
def model() -> VisionEncoderDecoderModel:
    return tiny_full_size()


@pytest.fixture(scope="module")
def original(model: VisionEncoderDecoderModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the original's folder: pickled weights, no tokenizer, no preprocessor, no ids in the generation file."""
    folder = tmp_path_factory.mktemp("original")
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(model.config.to_json_string())
    (folder / "generation_config.json").write_text(json.dumps({"_from_model_config": True, "pad_token_id": 0}))
    return folder


def picture() -> Image.Image:
    return Image.effect_noise((50, 40), 80).convert("RGB")


def test_the_originals_folder_loads_as_the_original_used_it(original: Path) -> None:
    """BERT's own first and last token, the whole picture squashed, values in [0, 1]."""
    captioner = load_captioner(original)

    assert (captioner.vocabulary.start, captioner.vocabulary.end) == (101, 102)
    assert captioner.transform.fit == "squash"
    assert captioner.transform.size == SIZE
    pixels = captioner.prepare(picture())
    assert captioner.transform.scale(pixels[None]).min() >= 0
    assert captioner.transform.scale(pixels[None]).max() <= 1


def test_greedy_words_are_those_of_transformers(model: VisionEncoderDecoderModel, original: Path) -> None:
    """With one beam our steps choose what `generate` chooses on the same weights."""
    captioner = load_captioner(original)
    pixels = captioner.prepare(picture())
    scaled = torch.from_numpy(captioner.transform.scale(pixels[None]))
    banned = [[token] for token in captioner.vocabulary.banned]
    expected = model.generate(
        scaled,
        num_beams=1,
        do_sample=False,
        max_new_tokens=LENGTH,
        min_new_tokens=2,
        decoder_start_token_id=101,
        eos_token_id=102,
        pad_token_id=0,
        bad_words_ids=banned,
    )[0, 1:]

    found = captioner.caption([pixels], DecodingOptions(num_beams=1, max_new_tokens=LENGTH))[0][0]

    assert found.text == captioner.vocabulary.decode(expected.tolist())


def test_pieces_of_a_word_are_one_word_with_one_grid(original: Path) -> None:
    """What BERT writes in pieces is shown whole, with the mean of where its pieces looked."""
    captioner = load_captioner(original)
    options = DecodingOptions(num_captions=3, num_beams=3, max_new_tokens=LENGTH, attention=True)

    captions = captioner.caption([captioner.prepare(picture())], options)[0]

    assert len(captions) == 3
    for caption in captions:
        assert not any(word.text.startswith("##") for word in caption.words[1:])
        for word in caption.words:
            assert word.attention is not None
            assert len(word.attention) == len(word.attention[0]) == SIZE // 8
            assert sum(map(sum, word.attention)) == pytest.approx(1, abs=1e-4)


def test_a_folder_with_its_own_preprocessing_keeps_it(model: VisionEncoderDecoderModel, tmp_path: Path) -> None:
    """Tokenizer and preprocessor in the folder win over what the original did."""
    model.save_pretrained(tmp_path)
    load_minilm()[1].save_pretrained(tmp_path)
    processor = {"size": {"height": SIZE, "width": SIZE}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))

    captioner = load_captioner(tmp_path)

    assert captioner.transform.mean == (0.5, 0.5, 0.5)
    assert isinstance(captioner, Captioner)


def test_a_projection_between_different_widths_is_used(tmp_path: Path) -> None:
    """An encoder wider than the decoder comes with a projection; the caption is made all the same."""
    tiny_full_size(width=24).save_pretrained(tmp_path)

    captioner = load_captioner(tmp_path)

    assert captioner.caption([captioner.prepare(picture())], DecodingOptions(max_new_tokens=LENGTH))[0][0].score < 0


def test_a_foreign_vocabulary_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    """Words cannot be guessed."""
    tiny_full_size(100).save_pretrained(tmp_path)

    with pytest.raises(ModelError, match="tokenizer"):
        load_captioner(tmp_path)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A plain ViT writes nothing."""
    ViTModel(ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)).save_pretrained(tmp_path)

    with pytest.raises(ModelError):
        load_captioner(tmp_path)
