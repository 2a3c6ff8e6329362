"""EfficientNet-Lite0 in integers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imagetext.engines import Engines, Network
from imagetext.engines.backends import core
from imagetext.engines.int8 import UNSIGNED, rounded
from imagetext.models.backbone import EFFICIENTNET_LITE0, IN_INTEGERS, Backbone, load_backbone
from imagetext.models.captioner.model import load_in_torch as load_captioner
from imagetext.models.efficientnet import ConvNorm
from imagetext.models.encoder.load import load_in_torch as load_encoder
from imagetext.models.folder import ModelFolder
from imagetext.models.quantized import WIDE, QuantizedConv, Rounding, WeightRounding
from imagetext.models.weights import changed_tensors, load_weights, write_model_folder
from imagetext.wire.errors import ModelError

CONVOLUTIONS = 49
LARGEST = 64  # of a weight: two products with 8-bit activations, 2 x 255 x 64, fit into 16 bits
MODELS = Path(__file__).resolve().parents[2] / "models"

Pictures = Callable[[int, int], Tensor]


@pytest.mark.parametrize("engine", ["openvino-f32", "onnxruntime"])
def test_every_engine_gives_the_same_bits(
    engine: str, integers: Backbone, exported_integers: Network, pictures: Pictures
) -> None:
    """On pictures that it has never seen, in batches of other sizes: no number differs."""
    loaded = Engines(only=engine).load(exported_integers)
    assert loaded is not None

    for number in (1, 5):
        unseen = pictures(number, number)
        with torch.inference_mode():
            expected = integers(unseen).numpy()
        assert np.array_equal(loaded.run(unseen.numpy())[0], expected)


def test_openvino_multiplies_in_8_bits(exported_integers: Network) -> None:
    """What it compiles has no convolution in floating point."""
    pytest.importorskip("openvino")
    compiled = core().compile_model(exported_integers.file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    kinds = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    convolutions = [kind for kind in kinds if kind["layerType"].astype(str) == "Convolution"]

    assert len(convolutions) == CONVOLUTIONS
    assert {kind["runtimePrecision"].astype(str) for kind in convolutions} <= {"i8", "u8"}


def test_every_step_is_a_power_of_two(integers: Backbone) -> None:
    """Else engines would round differently."""
    steps = [part.step for part in integers.modules() if isinstance(part, Rounding | WeightRounding)]

    exponents = torch.cat([step.reshape(-1) for step in steps]).log2()

    assert torch.equal(exponents, exponents.round())


def test_rounding_in_wide_units_cuts_off_where_relu6_does() -> None:
    """Below 0 and above 6, and nothing between is moved by more than rounding."""
    layer = ConvNorm(1, 1, 1).eval()
    nn.init.constant_(layer.conv.weight, 1 / WIDE)  # in wide units one, which 7 bits hold
    wide = QuantizedConv(layer, unit=WIDE)
    assert wide.conv.bias is not None
    nn.init.zeros_(wide.conv.bias)
    x = torch.linspace(-2, 10, 1001).reshape(1, 1, 1, -1)

    with torch.inference_mode():
        found, expected = wide(x) / WIDE, layer(x)

    assert (found.min(), found.max()) == (0, 6)
    assert torch.allclose(found, expected, atol=0.03)


def whole_numbers(layer: QuantizedConv) -> Tensor:
    """A layer's weights in steps, (outputs, ...)."""
    return layer.conv.weight / layer.weight_rounding.step[:, None, None, None]


def test_two_products_fit_into_16_bits(integers: Backbone) -> None:
    """Weights are whole numbers of 7 bits: kernels that add two products in 16 bits cut nothing off."""
    layers = [part for part in integers.modules() if isinstance(part, QuantizedConv)]

    for layer in layers:
        numbers = whole_numbers(layer)
        assert torch.equal(numbers, numbers.round())
        assert numbers.abs().max() <= LARGEST
    assert len(layers) == CONVOLUTIONS
    assert max(whole_numbers(layer).abs().max() for layer in layers) == LARGEST


@pytest.mark.parametrize("name", ["retrieval", "caption-vit-bert", "caption-gru"])
def test_sums_of_a_shipped_model_fit_into_24_bits(name: str) -> None:
    """Whatever the picture: else torch, which sums in floating point, would round where integers do not.

    And its weights are of 7 bits, too.
    """
    load = load_encoder if name == "retrieval" else load_captioner
    layers = [part for part in load(MODELS / name).backbone.modules() if isinstance(part, QuantizedConv)]
    for layer in layers:
        numbers = whole_numbers(layer).flatten(1)
        largest = max(numbers.clamp(min=0).sum(1).max(), -numbers.clamp(max=0).sum(1).min()) * UNSIGNED[1]
        assert largest < 2**23  # the other half is room for the bias
        assert numbers.abs().max() <= LARGEST
    assert len(layers) == CONVOLUTIONS


def test_a_model_of_other_units_is_refused() -> None:
    """Weights of earlier versions, which are named after their units, too, would be read as other numbers."""
    with pytest.raises(ModelError, match="efficientnet-lite0-int8-wide"):
        load_backbone("efficientnet-lite0-int8-wide")


def test_features_are_near_those_in_floating_point(integers: Backbone, pictures: Pictures) -> None:
    """On other pictures than it was fitted on."""
    unseen = pictures(4, 9)
    with torch.inference_mode():
        mine, theirs = integers.pooled(unseen), load_backbone(EFFICIENTNET_LITE0).pooled(unseen)

    assert nn.functional.cosine_similarity(mine, theirs).min() > 0.97


def test_a_model_folder_keeps_every_bit(integers: Backbone, pictures: Pictures, tmp_path: Path) -> None:
    """Weights, biases and steps come back as they were, and so do the features."""
    tensors = changed_tensors("backbone", integers, load_backbone(IN_INTEGERS).state_dict())
    write_model_folder(tmp_path, {}, tensors, "# card")
    loaded = load_backbone(IN_INTEGERS)
    load_weights(ModelFolder.open(tmp_path), {"backbone": loaded})

    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in integers.state_dict().items())
    with torch.inference_mode():
        assert torch.equal(loaded(pictures(1, 3)), integers(pictures(1, 3)))


@pytest.mark.parametrize(
    ("signed", "expected"), [(True, [-64.0, -0.5, 0.0, 0.5, 63.5]), (False, [0.0, 0.0, 0.0, 0.5, 127.5])]
)
def test_rounding_keeps_to_its_256_numbers(signed: bool, expected: list[float]) -> None:
    """Halves go to the even neighbour, and what is too large to the largest."""
    found = rounded(torch.tensor([-1000.0, -0.7, 0.25, 0.3, 1000.0]), 0.5, signed)

    assert found.tolist() == expected
