"""The compact dual encoder, loaded: pictures and texts in, unit vectors out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from imagetext.backbone import Backbone, load_backbone
from imagetext.encoder.calibration import Calibration
from imagetext.encoder.network import HeadShape, PictureHead, TextTower, minilm
from imagetext.model_folder import ModelFolder
from imagetext.transform import PictureTransform

ARCHITECTURE = "dual-encoder"
MAX_TOKENS = 128  # of a text; what is beyond is not read


class DualEncoder:
    """The compact retrieval model; not for use by several threads at once."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        backbone: Backbone,
        head: PictureHead,
        text: TextTower,
        tokenizer: Any,
        transform: PictureTransform,
        calibration: Calibration,
        dimensions: int,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.backbone = backbone.eval()
        self.head = head.eval()
        self.text = text.eval()
        self.tokenizer = tokenizer
        self.transform = transform
        self.calibration = calibration
        self.dimensions = dimensions
        self.parameters = sum(p.numel() for part in (backbone, head, text) for p in part.parameters())

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread."""
        return self.transform.resize(picture)

    @torch.inference_mode()
    def encode_pictures(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Prepared pictures -> unit rows (n, dimensions)."""
        pictures = torch.from_numpy(self.transform.scale(np.stack(inputs)))
        return self.head(self.backbone(pictures)).numpy()  # type: ignore[no-any-return]

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit rows (n, dimensions)."""
        batch = self.tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        return self.text(batch["input_ids"], batch["attention_mask"]).numpy()  # type: ignore[no-any-return]

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarities -> probabilities of a match."""
        return self.calibration.relevance(scores)


def load_dual_encoder(folder: ModelFolder) -> DualEncoder:
    """Raises ModelError where the folder's tensors do not fit its config."""
    config = folder.config
    shape = HeadShape(**config["heads"])
    backbone = load_backbone(config["backbone"])
    bert, tokenizer = minilm()
    head, text = PictureHead(shape), TextTower(bert, shape)
    folder.load_into({"backbone": backbone, "head": head, "text": text})
    return DualEncoder(
        config["name"],
        folder.fingerprint,
        backbone,
        head,
        text,
        tokenizer,
        PictureTransform.from_config(config["transform"]),
        Calibration(**config["calibration"]),
        shape.dimensions,
    )
