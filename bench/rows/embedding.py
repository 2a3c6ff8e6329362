"""Pictures and texts to vectors, in one process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.rivals.encoders import clip_texts, in_float32, minilm_texts, require_the_same_network
from bench.row import Contest, Setting
from bench.rows.pictures import opened
from bench.timing import milliseconds, network_floor
from imagetext.models.encoder.clip import load_clip, packaged_tokenizer
from imagetext.models.encoder.dual import load_dual_encoder
from imagetext.models.encoder.engine import load_encoder
from imagetext.models.folder import ModelFolder

COMPACT = Path("models/retrieval")
CLIP = "clip-vit-b32"
TEXT = "a brown dog runs across the grass with a ball in its mouth"


@contextmanager
def compact_pictures(setting: Setting, batch: int) -> Iterator[Contest]:
    """The compact model's pictures in int8, against the same weights in torch in float32."""
    ours, reference = load_encoder(COMPACT, setting.engines("retrieval")), load_dual_encoder(ModelFolder.open(COMPACT))
    rival, folded = in_float32(reference), in_float32(reference, norms=False)
    inputs = [ours.prepare(picture) for picture in opened(setting, batch)]
    expected = reference.encode_pictures(inputs)
    require_the_same_network(rival.encode_pictures(inputs), expected)
    yield Contest(
        ours=lambda: milliseconds(lambda: ours.encode_pictures(inputs), setting.turn_s),
        rival=lambda: milliseconds(lambda: rival.encode_pictures(inputs), setting.turn_s),
        floor=lambda: network_floor(
            lambda: rival.encode_pictures(inputs), [rival.backbone, rival.picture_head], torch.int8
        ),
        same=cosine(ours.encode_pictures(inputs), expected),
        engine=setting.chosen("retrieval"),
        details=lambda: {
            "cosine without rounding": cosine(expected, rival.encode_pictures(inputs)),
            "rival with norms in its weights, ms": milliseconds(lambda: folded.encode_pictures(inputs), setting.turn_s),
        },
    )


@contextmanager
def compact_text(setting: Setting) -> Iterator[Contest]:
    """One text through MiniLM and the compact model's head."""
    ours, reference = load_encoder(COMPACT, setting.engines("retrieval")), load_dual_encoder(ModelFolder.open(COMPACT))
    tower, head = reference.text_tower, reference.text_head

    def rival() -> torch.Tensor:
        return minilm_texts(tower.bert, tower.wrapper, head, [TEXT])

    yield Contest(
        ours=lambda: milliseconds(lambda: ours.encode_texts([TEXT]), setting.turn_s),
        rival=lambda: milliseconds(rival, setting.turn_s),
        floor=lambda: network_floor(rival, [tower.bert.encoder, head], _kind(setting, "retrieval", "texts")),
        same=cosine(ours.encode_texts([TEXT]), rival().numpy()),
        engine=setting.chosen("retrieval"),
    )


@contextmanager
def clip_pictures(setting: Setting, batch: int) -> Iterator[Contest]:
    """Pictures through a CLIP ViT-B/32 with random weights."""
    folder = clip_folder(setting)
    ours, reference = load_encoder(folder, setting.engines(CLIP)), load_clip(folder)
    inputs = [ours.prepare(picture) for picture in opened(setting, batch)]
    scaled = torch.from_numpy(ours.transform.scale(np.stack(inputs)))

    @torch.inference_mode()
    def rival() -> torch.Tensor:
        found: torch.Tensor = reference.model.get_image_features(pixel_values=scaled).pooler_output
        return torch.nn.functional.normalize(found, dim=-1)

    yield Contest(
        ours=lambda: milliseconds(lambda: ours.encode_pictures(inputs), setting.turn_s),
        rival=lambda: milliseconds(rival, setting.turn_s),
        floor=lambda: network_floor(rival, [reference.model.vision_model], _kind(setting, CLIP, "pictures")),
        same=cosine(ours.encode_pictures(inputs), rival().numpy()),
        engine=setting.chosen(CLIP),
    )


@contextmanager
def clip_text(setting: Setting) -> Iterator[Contest]:
    """One text through that CLIP."""
    folder = clip_folder(setting)
    ours, reference = load_encoder(folder, setting.engines(CLIP)), load_clip(folder)

    def rival() -> torch.Tensor:
        return clip_texts(reference.model, reference.wrapper, [TEXT])

    yield Contest(
        ours=lambda: milliseconds(lambda: ours.encode_texts([TEXT]), setting.turn_s),
        rival=lambda: milliseconds(rival, setting.turn_s),
        floor=lambda: network_floor(rival, [reference.model.text_model], _kind(setting, CLIP, "texts")),
        same=cosine(ours.encode_texts([TEXT]), rival().numpy()),
        engine=setting.chosen(CLIP),
    )


def clip_folder(setting: Setting) -> Path:
    """A CLIP ViT-B/32 with random weights in the layout of the hub; written once."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    folder = setting.folder(f"models/{CLIP}")
    if not (folder / "tokenizer_config.json").exists():  # written last
        torch.manual_seed(0)
        model: CLIPModel = CLIPModel(CLIPConfig())
        model.save_pretrained(folder)
        CLIPImageProcessor().save_pretrained(folder)
        packaged_tokenizer().save_pretrained(folder)
    return folder


def cosine(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """The lowest cosine of unit rows (n, dimensions)."""
    return float((ours * theirs).sum(1).min())


def _kind(setting: Setting, model: str, network: str) -> torch.dtype:
    """The number type that the chosen engine multiplies in."""
    chosen = setting.chosen(model)
    kinds = {"openvino-bf16": torch.bfloat16, "openvino-int8": torch.int8}
    return next((kind for engine, kind in kinds.items() if f"{network}: {engine}" in chosen), torch.float32)
