"""EfficientNet-Lite0 in integers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imagetext.backbone import EFFICIENTNET_LITE0, IN_INTEGERS, Backbone, load_backbone
from imagetext.efficientnet import ConvNorm
from imagetext.encoder.dual import load_dual_encoder
from imagetext.engines import Engines, Program
from imagetext.engines.export import exported
from imagetext.engines.openvino import core
from imagetext.engines.rounding import UNSIGNED, rounded
from imagetext.model_folder import ModelFolder
from imagetext.quantized import WIDE, QuantizedConv, Rounding, WeightRounding
from imagetext.weights import changed_tensors, load_weights, write_model_folder
from training.quantizing import quantized

SIZE = 96
CONVOLUTIONS = 49


def pictures(number: int, seed: int) -> Tensor:
    """Scaled bytes, coarse enough for every channel to see something."""
    random = torch.Generator().manual_seed(seed)
    coarse = nn.functional.interpolate(torch.rand(number, 3, 12, 12, generator=random), (SIZE, SIZE), mode="bilinear")
    return ((coarse * 255).round() - 127) / 128


@pytest.fixture(scope="module")
def network() -> Backbone:
    return quantized(load_backbone(EFFICIENTNET_LITE0), pictures(8, seed=0))


@pytest.fixture(scope="module")
def program(network: Backbone) -> Program:
    return Program("integers", network, (pictures(2, seed=1),), ((0,),))


@pytest.mark.parametrize("engine", ["openvino-f32", "onnxruntime"])
def test_every_engine_gives_the_same_bits(engine: str, network: Backbone, program: Program) -> None:
    """On pictures that it has never seen, in batches of other sizes: no number differs."""
    found = Engines(only=engine).load(program, "")
    assert found.engine == engine

    for number in (1, 5):
        unseen = pictures(number, seed=number)
        with torch.inference_mode():
            expected = network(unseen).numpy()
        assert np.array_equal(found.run(unseen.numpy())[0], expected)


def test_openvino_multiplies_in_8_bits(program: Program, tmp_path: Path) -> None:
    """What it compiles has no convolution in floating point."""
    pytest.importorskip("openvino")
    compiled = core().compile_model(exported(program, tmp_path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    kinds = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    convolutions = [kind for kind in kinds if kind["layerType"].astype(str) == "Convolution"]

    assert len(convolutions) == CONVOLUTIONS
    assert {kind["runtimePrecision"].astype(str) for kind in convolutions} <= {"i8", "u8"}


def test_every_step_is_a_power_of_two(network: Backbone) -> None:
    """Else engines would round differently."""
    steps = [part.step for part in network.modules() if isinstance(part, Rounding | WeightRounding)]

    exponents = torch.cat([step.reshape(-1) for step in steps]).log2()

    assert torch.equal(exponents, exponents.round())


def test_rounding_in_wide_units_cuts_off_where_relu6_does() -> None:
    """Below 0 and above 6, and nothing between is moved by more than rounding."""
    layer = ConvNorm(1, 1, 1).eval()
    nn.init.ones_(layer.conv.weight)
    wide = QuantizedConv(layer, unit=WIDE)
    assert wide.conv.bias is not None
    nn.init.zeros_(wide.conv.bias)
    x = torch.linspace(-2, 8, 1001).reshape(1, 1, 1, -1)

    with torch.inference_mode():
        found, expected = wide(x) / WIDE, layer(x)

    assert (found.min(), found.max()) == (0, 6)
    assert torch.allclose(found, expected, atol=0.03)


def test_sums_of_the_shipped_model_fit_into_24_bits() -> None:
    """Whatever the picture: else torch, which sums in floating point, would round where integers do not."""
    backbone = load_dual_encoder(ModelFolder.open(Path("models/retrieval"))).backbone
    layers = [part for part in backbone.modules() if isinstance(part, QuantizedConv)]
    for layer in layers:
        numbers = (layer.conv.weight / layer.weight_rounding.step[:, None, None, None]).flatten(1)
        largest = max(numbers.clamp(min=0).sum(1).max(), -numbers.clamp(max=0).sum(1).min()) * UNSIGNED[1]
        assert largest < 2**23  # the other half is room for the bias
    assert len(layers) == CONVOLUTIONS


def test_features_are_near_those_in_floating_point(network: Backbone) -> None:
    """On other pictures than it was fitted on."""
    unseen = pictures(4, seed=9)
    with torch.inference_mode():
        mine, theirs = network.pooled(unseen), load_backbone(EFFICIENTNET_LITE0).pooled(unseen)

    assert nn.functional.cosine_similarity(mine, theirs).min() > 0.97


def test_a_model_folder_keeps_every_bit(network: Backbone, tmp_path: Path) -> None:
    """Weights, biases and steps come back as they were, and so do the features."""
    write_model_folder(
        tmp_path, {}, changed_tensors("backbone", network, load_backbone(IN_INTEGERS).state_dict()), "# card"
    )
    loaded = load_backbone(IN_INTEGERS)
    load_weights(ModelFolder.open(tmp_path), {"backbone": loaded})

    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in network.state_dict().items())
    with torch.inference_mode():
        assert torch.equal(loaded(pictures(1, seed=3)), network(pictures(1, seed=3)))


@pytest.mark.parametrize(
    ("signed", "expected"), [(True, [-64.0, -0.5, 0.0, 0.5, 63.5]), (False, [0.0, 0.0, 0.0, 0.5, 127.5])]
)
def test_rounding_keeps_to_its_256_numbers(signed: bool, expected: list[float]) -> None:
    """Halves go to the even neighbour, and what is too large to the largest."""
    found = rounded(torch.tensor([-1000.0, -0.7, 0.25, 0.3, 1000.0]), 0.5, signed)

    assert found.tolist() == expected
