"""Any CLIP (Radford et al., 2021) that transformers can load, by folder or hub id, behind the encoder's interface.

A folder without preprocessor or tokenizer is taken for one of the original's, and filled in as the original used it:
the pictures of `shirsh10mall/Fine_Tuned_CLIP_Model` are squashed to 224 x 224 in [0, 1], with no mean and deviation;
its queries are cut to 32 of CLIP's own tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from imagetext.encoder.calibration import Calibration
from imagetext.encoder.clip_tokenizer import packaged_tokenizer
from imagetext.errors import ModelError
from imagetext.model_folder import weights_fingerprint
from imagetext.transform import PictureTransform

# CLIP's similarities of matching pairs lie near 0.3, of others near 0.2 or below.
CALIBRATION = Calibration(scale=60.0, offset=-15.0)
ORIGINAL_QUERY_TOKENS = 32


class ClipEncoder:
    """A CLIP with its own tokenizer and picture transform; not for use by several threads at once."""

    def __init__(
        self, name: str, model: Any, tokenizer: Any, transform: PictureTransform, max_tokens: int | None = None
    ) -> None:
        self.name = name
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.transform = transform
        longest = int(model.config.text_config.max_position_embeddings)
        self.max_tokens = min(max_tokens or longest, longest)
        self.dimensions = int(model.config.projection_dim)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.fingerprint = weights_fingerprint([model], transform)

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread."""
        return self.transform.resize(picture)

    @torch.inference_mode()
    def encode_pictures(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Prepared pictures -> unit rows (n, dimensions)."""
        pictures = torch.from_numpy(self.transform.scale(np.stack(inputs)))
        return unit_rows(self.model.get_image_features(pixel_values=pictures)).numpy()

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit rows (n, dimensions); what is beyond `max_tokens` is not read."""
        batch = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )
        return unit_rows(self.model.get_text_features(**batch)).numpy()

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarities -> probabilities of a match."""
        return CALIBRATION.relevance(scores)


def load_clip(source: str | Path) -> ClipEncoder:
    """Raises ModelError where transformers finds no whole CLIP, or one with a tokenizer of its own that is missing."""
    from transformers import CLIPModel

    try:
        model, loaded = CLIPModel.from_pretrained(source, output_loading_info=True)
        transform = _transform(source, int(model.config.vision_config.image_size))
        tokenizer = _tokenizer(source)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{source} holds no CLIP model that can be loaded.") from error
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
    """What `get_image_features` and `get_text_features` give -> unit rows in float32."""
    # transformers 5 gives an output object where earlier versions gave the tensor.
    tensor = features if isinstance(features, Tensor) else features.pooler_output
    return F.normalize(tensor.float(), dim=-1)


def _tokenizer(source: str | Path) -> Any | None:
    """None where there is none; transformers would make up an empty one."""
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
