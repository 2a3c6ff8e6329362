"""What of a CLIP is left to be trained."""

import pytest

from imagetext.wire.errors import InvalidParameter
from tests.imagetext.encoder.tiny_clip import tiny_clip
from training.clip.tune import trained_groups, unlock


def trained(picture_layers: int, text_layers: int) -> set[str]:
    model = tiny_clip(layers=2)
    unlock(model, picture_layers, text_layers)
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_a_locked_tower_keeps_every_weight() -> None:
    """With 0 neither the layers nor the projection change; the other tower is whole."""
    names = trained(0, -1)

    assert not any(name.startswith(("vision_model", "visual_projection")) for name in names)
    assert "text_model.embeddings.token_embedding.weight" in names
    assert {"text_projection.weight", "logit_scale"} <= names


def test_the_last_layers_alone() -> None:
    """With 1 the last layer, the norm after it and the projection change, and nothing below."""
    names = trained(1, 0)

    assert {name.split(".")[0] for name in names} == {"vision_model", "visual_projection", "logit_scale"}
    assert any("encoder.layers.1." in name for name in names)
    assert any("post_layernorm" in name for name in names)
    assert not any("encoder.layers.0." in name or "embeddings" in name for name in names)


@pytest.mark.parametrize(
    ("picture", "text", "sentence"), [(0, 0, "nothing to train"), (3, 1, "between -1 and 2, not 3"), (1, -2, "text")]
)
def test_impossible_numbers_are_refused(picture: int, text: int, sentence: str) -> None:
    """More layers than there are, fewer than none, and nothing at all."""
    with pytest.raises(InvalidParameter, match=sentence):
        unlock(tiny_clip(layers=2), picture, text)


def test_every_trained_weight_is_in_one_group() -> None:
    """Each tower has its rate, and only matrices decay."""
    model = tiny_clip(layers=2)
    unlock(model, 1, -1)

    groups = trained_groups(model, 1e-5, 2e-5, 0.1)

    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert {group["lr"] for group in groups} == {1e-5, 2e-5}
    assert all((p.dim() > 1) == (group["weight_decay"] > 0) for group in groups for p in group["params"])
