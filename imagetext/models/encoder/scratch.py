"""A CLIP small enough to be trained from random weights on a few thousand pictures.

The picture tower is a residual network (He et al., 2016), the text tower a transformer of one layer.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.models.captioner.vocabulary import PAD, Vocabulary
from imagetext.models.encoder.calibration import Calibration, load_calibration
from imagetext.models.encoder.tokenizer import WordTokenizer
from imagetext.models.encoder.towers import TwoTowers
from imagetext.models.folder import ModelFolder
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import load_weights
from imagetext.wire.errors import ModelError

START_TEMPERATURE = 0.07  # Radford et al., 2021, section 2.4
LARGEST_SCALE = 100.0
MASKED = -1e4  # a score that is nothing after softmax, and within every precision


@dataclass(frozen=True)
class ScratchShape:
    """The sizes of both towers. `widths` and `blocks` are those of the picture tower's stages, each of half the grid
    of the one before it."""

    vocabulary: int
    widths: tuple[int, ...] = (64, 128, 256)
    blocks: tuple[int, ...] = (1, 2, 2)
    text_width: int = 256
    heads: int = 4
    max_words: int = 32
    dimensions: int = 256

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScratchShape":
        """Raises ModelError for keys that are no sizes."""
        try:
            return cls(**config | {"widths": tuple(config["widths"]), "blocks": tuple(config["blocks"])})
        except (KeyError, TypeError) as error:
            raise ModelError("The model's shape is not that of a CLIP from scratch.") from error

    def to_config(self) -> dict[str, Any]:
        return asdict(self)


class Residual(nn.Module):
    """Two convolutions beside a shortcut, which is averaged where the grid is halved (He et al., 2019, section 4)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            across = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), across, nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        inner = self.second_norm(self.second(F.relu(self.first_norm(self.first(maps)))))
        return F.relu(inner + self.shortcut(maps))


class PictureTower(nn.Module):
    """Scaled pictures (n, 3, size, size) -> (n, dimensions), not normalised."""

    def __init__(self, shape: ScratchShape, dropout: float) -> None:
        super().__init__()
        width = shape.widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 4, 4, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        stages: list[nn.Module] = []
        for stage, (outputs, blocks) in enumerate(zip(shape.widths, shape.blocks, strict=True)):
            for block in range(blocks):
                stages.append(Residual(width, outputs, 2 if stage and not block else 1))
                width = outputs
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, shape.dimensions)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.stages(self.stem(pictures.contiguous(memory_format=torch.channels_last)))
        vectors: Tensor = self.head(self.dropout(maps.mean((2, 3))))
        return vectors


class TextTower(nn.Module):
    """Word ids (n, steps), padded with 0 -> (n, dimensions), not normalised; the words are pooled by learned
    weights."""

    def __init__(self, shape: ScratchShape, dropout: float) -> None:
        super().__init__()
        width = shape.text_width
        self.words = nn.Embedding(shape.vocabulary, width)
        self.places = nn.Embedding(shape.max_words + 1, width)
        nn.init.normal_(self.words.weight, std=1.0)
        nn.init.normal_(self.places.weight, std=0.1)
        self.layer = nn.TransformerEncoderLayer(
            width, shape.heads, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.weigh = nn.Linear(width, 1)
        self.head = nn.Linear(width, shape.dimensions)

    def forward(self, words: Tensor) -> Tensor:
        padding = words == PAD
        states = self.words(words) + self.places(torch.arange(words.shape[1], device=words.device))
        states = self.layer(states, src_key_padding_mask=padding)
        weights = self.weigh(states).float().masked_fill(padding[..., None], -torch.inf).softmax(1)
        vectors: Tensor = self.head((states * weights).sum(1))
        return vectors


class LeanTextTower(nn.Module):
    """A `TextTower` that can be exported for texts of any length.

    torch's own layer makes the traced length a constant.
    """

    def __init__(self, tower: TextTower, heads: int) -> None:
        super().__init__()
        self.tower = tower
        self.heads = heads

    def forward(self, words: Tensor) -> Tensor:
        tower, layer = self.tower, self.tower.layer
        padding = words == PAD
        x = tower.words(words) + tower.places.weight[: words.shape[1]]
        x = x + self._attended(layer.norm1(x), padding)
        x = x + layer.linear2(F.gelu(layer.linear1(layer.norm2(x))))
        weights = tower.weigh(x).masked_fill(padding[..., None], MASKED).softmax(1)
        vectors: Tensor = tower.head((x * weights).sum(1))
        return vectors

    def _attended(self, x: Tensor, padding: Tensor) -> Tensor:
        n, steps, width = x.shape
        attention = self.tower.layer.self_attn
        mixed = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        of_heads = mixed.view(n, steps, 3 * self.heads, width // self.heads).transpose(1, 2)
        query, key, value = of_heads.chunk(3, 1)
        scores = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5
        shares = scores.masked_fill(padding[:, None, None], MASKED).softmax(3)
        found: Tensor = attention.out_proj((shares @ value).transpose(1, 2).reshape(n, steps, width))
        return found


class UnitRows(nn.Module):
    """A tower whose vectors have length 1, in float32."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, inputs: Tensor) -> Tensor:
        return F.normalize(self.tower(inputs).float(), dim=-1)


class ScratchClip(nn.Module):
    """Both towers, and the temperature of the training loss."""

    def __init__(self, shape: ScratchShape, picture_dropout: float = 0.0, text_dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.picture = PictureTower(shape, picture_dropout)
        self.text = TextTower(shape, text_dropout)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / START_TEMPERATURE)))

    def pictures(self, scaled: Tensor) -> Tensor:
        """Scaled pictures (n, 3, size, size) -> unit rows (n, dimensions) in float32."""
        return F.normalize(self.picture(scaled).float(), dim=-1)

    def texts(self, words: Tensor) -> Tensor:
        """Word ids (n, steps), padded with 0 -> unit rows (n, dimensions) in float32."""
        return F.normalize(self.text(words).float(), dim=-1)

    def scale(self) -> Tensor:
        """The factor of the similarities, at most 100 as in Radford et al. (2021, section 2.5)."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)


ARCHITECTURE = "scratch-clip"
VOCABULARY = "vocabulary.txt"


class ScratchEncoder(TwoTowers):
    """A CLIP from scratch."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        network: ScratchClip,
        vocabulary: Vocabulary,
        transform: PictureTransform,
        calibration: Calibration,
    ) -> None:
        pictures, texts, shape = UnitRows(network.picture), UnitRows(network.text), network.shape
        tokenizer = WordTokenizer(vocabulary, shape.max_words)
        self._lean = UnitRows(LeanTextTower(network.text, shape.heads)).eval()
        super().__init__(name, fingerprint, pictures, texts, shape.dimensions, transform, calibration, tokenizer)

    def lean_texts(self) -> nn.Module:
        return self._lean


def load_scratch_clip(folder: ModelFolder) -> ScratchEncoder:
    """Raises ModelError where the folder's vocabulary or tensors do not fit its config."""
    config = folder.config
    vocabulary = Vocabulary.read(folder.file(VOCABULARY))
    network = ScratchClip(ScratchShape.from_config(config["shape"]))
    if len(vocabulary) != network.shape.vocabulary:
        raise ModelError(
            f"The vocabulary in {folder.path} has {len(vocabulary)} words, not {network.shape.vocabulary}."
        )
    load_weights(folder, {"network": network})
    return ScratchEncoder(
        config["name"],
        folder.fingerprint,
        network,
        vocabulary,
        PictureTransform.from_config(config["transform"]),
        load_calibration(folder.path, config["calibration"]),
    )
