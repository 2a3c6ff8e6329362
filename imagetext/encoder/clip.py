"""Any CLIP (Radford et al., 2021) that transformers can load, by folder or hub id, behind the encoder's interface."""

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
from imagetext.errors import ModelError
from imagetext.model_folder import weights_fingerprint
from imagetext.transform import PictureTransform

# CLIP's similarities of matching pairs lie near 0.3, of others near 0.2 or below.
CALIBRATION = Calibration(scale=60.0, offset=-15.0)


class ClipEncoder:
    """A CLIP with its own tokenizer and picture transform; not for use by several threads at once."""

    def __init__(self, name: str, model: Any, tokenizer: Any, transform: PictureTransform) -> None:
        self.name = name
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.transform = transform
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
        return _unit(self.model.get_image_features(pixel_values=pictures))

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit rows (n, dimensions); what is beyond the model's 77 tokens is not read."""
        length = self.model.config.text_config.max_position_embeddings
        batch = self.tokenizer(list(texts), padding=True, truncation=True, max_length=length, return_tensors="pt")
        return _unit(self.model.get_text_features(**batch))

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarities -> probabilities of a match."""
        return CALIBRATION.relevance(scores)


def load_clip(source: str | Path) -> ClipEncoder:
    """Raises ModelError where transformers finds no CLIP with its tokenizer."""
    from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

    try:
        model = CLIPModel.from_pretrained(source)
        tokenizer = AutoTokenizer.from_pretrained(source)
        processor = CLIPImageProcessor.from_pretrained(source)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{source} holds no CLIP model with its tokenizer and preprocessor.") from error
    return ClipEncoder(Path(str(source)).name, model, tokenizer, _transform(processor))


def _transform(processor: Any) -> PictureTransform:
    size = processor.crop_size["height"] if processor.do_center_crop else processor.size["height"]
    plain = not processor.do_normalize
    return PictureTransform(
        size=int(size),
        fit="crop" if processor.do_center_crop else "squash",
        mean=(0.0, 0.0, 0.0) if plain else tuple(processor.image_mean),
        std=(1.0, 1.0, 1.0) if plain else tuple(processor.image_std),
    )


def _unit(features: Any) -> NDArray[np.float32]:
    # transformers 5 gives an output object where earlier versions gave the tensor.
    tensor = features if isinstance(features, Tensor) else features.pooler_output
    vectors: NDArray[np.float32] = F.normalize(tensor.float(), dim=-1).numpy()
    return vectors
