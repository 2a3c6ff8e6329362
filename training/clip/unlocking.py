"""Which parts of a CLIP are trained: all of a tower, its last layers, or nothing of it (Zhai et al., 2022, "LiT")."""

from typing import Any

from torch import nn

from imagetext.errors import InvalidParameter

ALL = -1


def unlock(model: Any, picture_layers: int, text_layers: int) -> None:
    """Leave of each tower the last layers to be changed, with the norm and the projection after them.

    0 locks a whole tower with its projection, -1 unlocks all of it with its embeddings. The temperature is always
    trained.

    Raises:
        InvalidParameter: a tower has fewer layers, or both are locked.
    """
    model.requires_grad_(False)
    model.logit_scale.requires_grad_(True)
    vision, text = model.vision_model, model.text_model
    _unlock("picture", vision, vision.post_layernorm, model.visual_projection, picture_layers)
    _unlock("text", text, text.final_layer_norm, model.text_projection, text_layers)
    if not (picture_layers or text_layers):
        raise InvalidParameter("Both towers are locked: nothing is left to be trained.")


def _unlock(name: str, tower: Any, norm: nn.Module, projection: nn.Module, number: int) -> None:
    layers = tower.encoder.layers
    if not ALL <= number <= len(layers):
        raise InvalidParameter(f"The {name} tower has {len(layers)} layers; {number} of them cannot be unlocked.")
    if number == ALL:
        tower.requires_grad_(True)
    elif number:
        layers[len(layers) - number :].requires_grad_(True)
        norm.requires_grad_(True)
    projection.requires_grad_(number != 0)


def trained_groups(model: Any, picture_rate: float, text_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """For an optimizer: what `unlock` left, each tower with its learning rate; only matrices decay."""
    towers = (
        (nn.ModuleList([model.vision_model, model.visual_projection]), picture_rate),
        (nn.ModuleList([model.text_model, model.text_projection]), text_rate),
    )
    groups = [{"params": [model.logit_scale], "lr": text_rate, "weight_decay": 0.0}]
    for tower, rate in towers:
        trained = [p for p in tower.parameters() if p.requires_grad]
        for decay, part in (
            (weight_decay, [p for p in trained if p.dim() > 1]),
            (0.0, [p for p in trained if p.dim() < 2]),
        ):
            if part:
                groups.append({"params": part, "lr": rate, "weight_decay": decay})
    return groups
