"""Any CLIP (Radford et al., 2021) that transformers can load, by folder or hub id, behind the encoder's interface.

A folder without preprocessor or tokenizer is completed as the original project used its model:
the pictures of `shirsh10mall/Fine_Tuned_CLIP_Model` are squashed to 224 x 224 in [0, 1], with no mean and deviation;
its queries are cut to 32 of CLIP's own tokens.
"""

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.models.encoder.calibration import Calibration
from imagetext.models.encoder.tokenizer import SubwordTokenizer
from imagetext.models.encoder.towers import TwoTowers
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import weights_fingerprint
from imagetext.wire.errors import ModelError

PACKAGE = "open_clip"
FILE = "bpe_simple_vocab_16e6.txt.gz"
WORDS = 49_408
ENDS = ["<|startoftext|>", "<|endoftext|>"]
SINGLE = 256  # symbols for bytes, each within a word and at its end


def packaged_tokenizer(name: str = PACKAGE) -> Any:
    """The byte-pair encoding of all of OpenAI's CLIP models (Radford et al., 2021, section 2.4).

    Raises:
        ModelError: the package is missing or holds another vocabulary.
    """
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    # Only its file is read: importing it would need torchvision and timm, which nothing here does.
    package = find_spec(name)
    if package is None or package.origin is None:
        raise ModelError(
            "The model has no tokenizer. Copy vocab.json, merges.txt and tokenizer_config.json of "
            "openai/clip-vit-base-patch16 into its folder, or install the vocabulary: "
            "pip install --no-deps open_clip_torch"
        )
    try:
        with gzip.open(Path(package.origin).with_name(FILE), "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")[1:]  # the first line is the version
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ModelError(f"The package open_clip_torch holds no readable {FILE}.") from error
    merges = [tuple(line.split()) for line in lines[: WORDS - 2 * SINGLE - len(ENDS)]]
    symbols = list(bytes_to_unicode().values())
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *("".join(pair) for pair in merges), *ENDS]
    if len(set(words)) != WORDS:
        raise ModelError("The vocabulary in the package open_clip_torch is not that of CLIP.")
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=merges)


# CLIP's similarities of matching pairs lie near 0.3, of others near 0.2 or below.
CALIBRATION = Calibration(scale=60.0, offset=-15.0)
ORIGINAL_QUERY_TOKENS = 32


class ClipEncoder(TwoTowers):
    """A CLIP with its own tokenizer and picture transform; texts are cut to `max_tokens`."""

    def __init__(
        self, name: str, model: Any, wrapper: Any, transform: PictureTransform, max_tokens: int | None = None
    ) -> None:
        """`wrapper` is transformers' tokenizer."""
        self.model = model.eval()
        self.wrapper = wrapper
        longest = int(model.config.text_config.max_position_embeddings)
        tokenizer = SubwordTokenizer.of(
            wrapper.backend_tokenizer,
            min(max_tokens or longest, longest),
            wrapper.pad_token_id,
            with_mask=True,
            pad_token=wrapper.pad_token,
        )
        fingerprint, dimensions = weights_fingerprint([model], transform), int(model.config.projection_dim)
        pictures, texts = _Pictures(model), _Texts(model)
        super().__init__(name, fingerprint, pictures, texts, dimensions, transform, CALIBRATION, tokenizer)


class _Pictures(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, scaled: Tensor) -> Tensor:
        return unit_rows(self.model.get_image_features(pixel_values=scaled))  # type: ignore[operator]


class _Texts(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return unit_rows(self.model.get_text_features(input_ids=ids, attention_mask=mask))  # type: ignore[operator]


def load_clip(source: str | Path) -> ClipEncoder:
    """Raises ModelError where transformers finds no whole CLIP, or one with a tokenizer of its own that is missing."""
    from transformers import CLIPModel

    try:
        model, loaded = CLIPModel.from_pretrained(source, output_loading_info=True)
        transform = _transform(source, int(model.config.vision_config.image_size))
        tokenizer = _tokenizer(source)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{source} holds no loadable CLIP model.") from error
    if loaded["missing_keys"]:
        raise ModelError(f"{source} lacks {len(loaded['missing_keys'])} tensors of a CLIP model.")
    longest = None if tokenizer else ORIGINAL_QUERY_TOKENS
    tokenizer = tokenizer or packaged_tokenizer()
    if len(tokenizer) > model.config.text_config.vocab_size:
        raise ModelError(
            f"The tokenizer of {source} has more words than the model; openai/clip-vit-base-patch16 has 49408."
        )
    return ClipEncoder(Path(str(source)).name, model, tokenizer, transform, longest)


def unit_rows(features: Any) -> Tensor:
    """The outputs of `get_image_features` and `get_text_features` -> unit rows in float32."""
    # transformers 5 returns an output object, earlier versions the tensor.
    tensor = features if isinstance(features, Tensor) else features.pooler_output
    return F.normalize(tensor.float(), dim=-1)


def _tokenizer(source: str | Path) -> Any | None:
    """None if there is none; transformers would make up an empty one."""
    from transformers import AutoTokenizer

    if not _has_any(source, "tokenizer.json", "vocab.json"):
        return None
    return AutoTokenizer.from_pretrained(source)


def _transform(source: str | Path, size: int) -> PictureTransform:
    from transformers import CLIPImageProcessor

    if not _has_any(source, "preprocessor_config.json", "processor_config.json"):
        return PictureTransform(size, "squash", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    processor = CLIPImageProcessor.from_pretrained(source)
    crops, plain = processor.do_center_crop, not processor.do_normalize
    return PictureTransform(
        size=int(processor.crop_size["height"] if crops else processor.size["height"]),
        fit="crop" if crops else "squash",
        mean=(0.0, 0.0, 0.0) if plain else tuple(processor.image_mean),
        std=(1.0, 1.0, 1.0) if plain else tuple(processor.image_std),
    )


def _has_any(source: str | Path, *names: str) -> bool:
    """Whether one of the files is there. A hub that does not answer is an OSError and not an absent file."""
    from transformers.utils import cached_file

    return any(cached_file(source, name, _raise_exceptions_for_missing_entries=False) for name in names)
