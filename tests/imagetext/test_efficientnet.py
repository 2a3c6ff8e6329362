"""EfficientNet-Lite0 with its packaged weights."""

import torch

from imagetext.models.efficientnet import CHANNELS, GRID, EfficientNetLite0, imagenet_weights


def test_packaged_weights_fill_every_tensor() -> None:
    """The package names every tensor of the network and none besides."""
    network = EfficientNetLite0()

    network.load_state_dict(imagenet_weights(), strict=True)


def test_features_are_those_of_the_reference() -> None:
    """On a fixed input the features equal what the reference package efficientnet_lite_pytorch 0.1.0 computes."""
    network = EfficientNetLite0().eval()
    network.load_state_dict(imagenet_weights())
    picture = torch.linspace(-1, 1, 3 * 224 * 224).reshape(1, 3, 224, 224).sin()

    with torch.inference_mode():
        features = network(picture)

    assert features.shape == (1, CHANNELS, GRID, GRID)
    assert abs(float(features.mean()) - 0.056147) < 1e-5
    expected = torch.tensor([2.61943, 2.33540, 3.44950, 0.46870, 0.17729])
    assert torch.allclose(features[0, [102, 113, 176, 215, 287], 3, 3], expected, atol=1e-3)


def test_sizes_that_are_not_a_multiple_of_32_pass() -> None:
    """SAME padding gives ceil(size / 32) rows and columns for any size."""
    with torch.inference_mode():
        features = EfficientNetLite0().eval()(torch.zeros(1, 3, 65, 97))

    assert features.shape == (1, CHANNELS, 3, 4)
