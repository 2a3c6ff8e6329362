"""The compact dual encoder in torch: pictures and texts in, unit vectors out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from imagetext.models.backbone import Backbone, load_backbone
from imagetext.models.encoder.calibration import Calibration, Labels, load_calibration, load_labels
from imagetext.models.encoder.minilm import (
    PAD,
    Concepts,
    Head,
    HeadShape,
    LeanBert,
    load_minilm,
    mean_state,
    text_states,
)
from imagetext.models.encoder.tokenizer import SubwordTokenizer
from imagetext.models.encoder.towers import TwoTowers
from imagetext.models.folder import ModelFolder
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import load_weights

ARCHITECTURE = "dual-encoder"
MAX_TOKENS = 128  # longer texts are cut


class TextTower:
    """MiniLM with its tokenizer: texts -> pooled states (n, width)."""

    def __init__(self, bert: Any, tokenizer: Any) -> None:
        self.bert = bert.eval()
        self.width: int = bert.config.hidden_size
        self.wrapper = tokenizer  # transformers' own
        self.tokenizer = SubwordTokenizer.of(
            tokenizer.backend_tokenizer, MAX_TOKENS, PAD, with_mask=False, pad_token=tokenizer.pad_token
        )

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids (n, steps), padded with 0."""
        return torch.from_numpy(self.tokenizer(texts)[0])

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return text_states(self.bert, self.tokens(texts))


class DualEncoder(TwoTowers):
    """The compact retrieval model."""

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
        concepts: Concepts | None = None,
        labels: Labels | None = None,
    ) -> None:
        """`concepts` classify into the names of `labels`; a model without them returns vectors alone."""
        self.backbone, self.picture_head, self.concepts = backbone, picture_head, concepts
        self.text_tower, self.text_head = text_tower, text_head
        self.picture_network = PictureNetwork(backbone, picture_head, concepts)
        texts = _Texts(text_tower.bert, text_head)
        dimensions, tokenizer = picture_head.shape.dimensions, text_tower.tokenizer
        super().__init__(
            name, fingerprint, self.picture_network, texts, dimensions, transform, calibration, tokenizer, labels
        )

    def lean_texts(self) -> nn.Module:
        return _LeanTexts(self.text_tower.bert, self.text_head).eval()


class PictureNetwork(nn.Module):
    """Scaled pictures (n, 3, size, size) -> unit rows (n, dimensions); with concepts log probabilities (n, names)."""

    def __init__(self, backbone: Backbone, head: Head, concepts: Concepts | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.concepts = concepts

    def forward(self, scaled: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        pooled = self.backbone.pooled(scaled)
        rows: Tensor = self.head(pooled)
        if self.concepts is None:
            return rows
        joined: tuple[Tensor, Tensor] = self.concepts(rows, pooled)
        return joined

    def rows(self, scaled: Tensor) -> Tensor:
        """The unit rows alone."""
        found = self(scaled)
        rows: Tensor = found[0] if isinstance(found, tuple) else found
        return rows


class _Texts(nn.Module):
    def __init__(self, bert: nn.Module, head: Head) -> None:
        super().__init__()
        self.bert = bert
        self.head = head

    def forward(self, tokens: Tensor) -> Tensor:
        rows: Tensor = self.head(text_states(self.bert, tokens))
        return rows


class _LeanTexts(nn.Module):
    """As `_Texts`, in the form that engines run fastest."""

    def __init__(self, bert: nn.Module, head: Head) -> None:
        super().__init__()
        self.bert = LeanBert(bert)
        self.head = head

    def forward(self, tokens: Tensor) -> Tensor:
        counts = (tokens != PAD).float()
        rows: Tensor = self.head(mean_state(self.bert(tokens, counts), counts))
        return rows


def load_dual_encoder(folder: ModelFolder) -> DualEncoder:
    """Raises ModelError where the folder's tensors do not fit its config."""
    config = folder.config
    backbone = load_backbone(config["backbone"])
    picture_head, text_head = Head(HeadShape(**config["picture_head"])), Head(HeadShape(**config["text_head"]))
    bert, tokenizer = load_minilm()
    modules = {"backbone": backbone, "picture_head": picture_head, "bert": bert, "text_head": text_head}
    labels = load_labels(folder.path, config["labels"]) if "labels" in config else None
    concepts = None
    if labels is not None:
        concepts = Concepts(picture_head.shape.inputs, len(labels.names), picture_head.shape.dimensions)
        modules["concepts"] = concepts
    load_weights(folder, modules)
    return DualEncoder(
        config["name"],
        folder.fingerprint,
        backbone,
        picture_head,
        TextTower(bert, tokenizer),
        text_head,
        PictureTransform.from_config(config["transform"]),
        load_calibration(folder.path, config["calibration"]),
        concepts,
        labels,
    )
