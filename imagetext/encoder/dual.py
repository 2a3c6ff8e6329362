"""The compact dual encoder, loaded: pictures and texts in, unit vectors out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from imagetext.backbone import Backbone, load_backbone
from imagetext.encoder.calibration import Calibration
from imagetext.encoder.network import Head, HeadShape, load_minilm, pooled_grid, text_states
from imagetext.model_folder import ModelFolder
from imagetext.transform import PictureTransform

ARCHITECTURE = "dual-encoder"
MAX_TOKENS = 128  # of a text; what is beyond is not read


class TextTower:
    """MiniLM with its tokenizer: texts -> pooled states (n, width)."""

    def __init__(self, bert: Any, tokenizer: Any) -> None:
        self.bert = bert.eval()
        self.tokenizer = tokenizer
        self.width: int = bert.config.hidden_size

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids (n, steps), padded with 0."""
        batch = self.tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        ids: Tensor = batch["input_ids"]
        return ids

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return text_states(self.bert, self.tokens(texts))


class DualEncoder:
    """The compact retrieval model; not for use by several threads at once."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        backbone: Backbone,
        picture_head: Head,
        text_tower: TextTower,
        text_head: Head,
        transform: PictureTransform,
        calibration: Calibration,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.backbone = backbone.eval()
        self.picture_head = picture_head.eval()
        self.text_tower = text_tower
        self.text_head = text_head.eval()
        self.transform = transform
        self.calibration = calibration
        self.dimensions = picture_head.shape.dimensions
        parts = (backbone, picture_head, text_tower.bert, text_head)
        self.parameters = sum(p.numel() for part in parts for p in part.parameters())

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread."""
        return self.transform.resize(picture)

    @torch.inference_mode()
    def encode_pictures(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Prepared pictures -> unit rows (n, dimensions)."""
        pictures = torch.from_numpy(self.transform.scale(np.stack(inputs)))
        vectors: NDArray[np.float32] = self.picture_head(pooled_grid(self.backbone(pictures))).numpy()
        return vectors

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit rows (n, dimensions)."""
        vectors: NDArray[np.float32] = self.text_head(self.text_tower(texts)).numpy()
        return vectors

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarities -> probabilities of a match."""
        return self.calibration.relevance(scores)


def load_dual_encoder(folder: ModelFolder) -> DualEncoder:
    """Raises ModelError where the folder's tensors do not fit its config."""
    config = folder.config
    backbone = load_backbone(config["backbone"])
    picture_head, text_head = Head(HeadShape(**config["picture_head"])), Head(HeadShape(**config["text_head"]))
    bert, tokenizer = load_minilm()
    folder.load_into({"backbone": backbone, "picture_head": picture_head, "bert": bert, "text_head": text_head})
    return DualEncoder(
        config["name"],
        folder.fingerprint,
        backbone,
        picture_head,
        TextTower(bert, tokenizer),
        text_head,
        PictureTransform.from_config(config["transform"]),
        Calibration(**config["calibration"]),
    )
