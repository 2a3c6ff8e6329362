"""From similarity to relevance."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from imagetext.models.encoder.calibration import BACKGROUND, BACKGROUND_TENSOR, Calibration, load_calibration
from imagetext.models.encoder.engine import composed, load_encoder
from imagetext.wire.errors import ModelError

CURVE = {"scale": 10.0, "offset": -1.0}


def on_a_ring(count: int, share: float) -> np.ndarray:
    """Unit vectors (count, 3) that all have the cosine `share` to the first axis."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    across = (1 - share**2) ** 0.5
    return np.stack([np.full(count, share), across * np.cos(angles), across * np.sin(angles)], 1).astype(np.float32)


def test_what_comes_near_by_chance_is_taken_off():
    """A score means less to a query that background pictures come near to; within a query it rises with the score."""
    calibration = Calibration(10.0, -1.0, on_a_ring(40, 0.5))
    near, far = np.array([1, 0, 0], dtype=np.float32), np.array([-1, 0, 0], dtype=np.float32)
    scores = np.array([0.5, 0.6, 0.9], dtype=np.float32)

    assert calibration.by_chance(near) == pytest.approx(0.5)
    assert calibration.relevance(near, scores) == pytest.approx(1 / (1 + np.exp(-(10 * (scores - 0.5) - 1))))
    assert (calibration.relevance(near, scores) < calibration.relevance(far, scores)).all()
    assert (np.diff(calibration.relevance(near, scores)) > 0).all()


def test_only_the_nearest_twentieth_counts():
    """Pictures far from the query say nothing about it."""
    background = np.concatenate([on_a_ring(2, 0.5), on_a_ring(38, -0.9)])

    assert Calibration(1.0, 0.0, background).by_chance(np.array([1, 0, 0], dtype=np.float32)) == pytest.approx(0.5)


def test_old_folders_go_by_the_cosine_alone(tmp_path):
    """A config without a background is a curve over the score."""
    calibration = load_calibration(tmp_path, CURVE)

    assert calibration.relevance(np.ones(3, dtype=np.float32), np.array([0.1], dtype=np.float32)) == pytest.approx(0.5)


def test_the_background_comes_back_from_its_file(tmp_path):
    """It is stored in half precision, and is of unit length again when it is loaded."""
    pictures = on_a_ring(7, 0.3)
    save_file({BACKGROUND_TENSOR: pictures.astype(np.float16)}, tmp_path / BACKGROUND)
    loaded = load_calibration(tmp_path, CURVE | {"background": BACKGROUND})

    assert loaded.to_config() == CURVE | {"background": BACKGROUND}
    assert loaded.background == pytest.approx(pictures, abs=1e-3)
    assert np.linalg.norm(loaded.background, axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("background", [None, on_a_ring(7, 0.3)])
def test_what_is_saved_is_loaded_again(tmp_path, background):
    """An export carries the curve and the background."""
    saved = Calibration(10.0, -1.0, background)
    loaded = load_calibration(tmp_path, saved.save(tmp_path))

    assert (loaded.scale, loaded.offset) == (10.0, -1.0)
    assert (loaded.background is None) == (background is None)
    assert background is None or loaded.background == pytest.approx(background, abs=1e-6)


@pytest.mark.parametrize("content", [None, b"", b"x" * 100])
def test_a_damaged_background_is_refused(tmp_path, content):
    """A model whose relevance would mean something else is not loaded."""
    if content is not None:
        (tmp_path / BACKGROUND).write_bytes(content)

    with pytest.raises(ModelError, match=BACKGROUND):
        load_calibration(tmp_path, CURVE | {"background": BACKGROUND})


def test_composed_queries_are_not_marked_down(models):
    """With the shipped model, photographs found by several parts are about as relevant as those found by one word."""
    encoder = load_encoder(models / "retrieval")
    own = encoder.calibration
    photographs, background = own.background[::2], own.background[1::2]
    judge = Calibration(own.scale, own.offset, background)
    words = encoder.encode_texts(["dog", "man", "snow", "beach", "people", "street", "water", "ball"])
    pairs = [(wanted, unwanted) for wanted in words for unwanted in words if wanted is not unwanted]

    def mean_relevance(queries: list[np.ndarray]) -> float:
        return float(np.mean([np.sort(judge.relevance(query, photographs @ query))[-5:] for query in queries]))

    plain = mean_relevance(list(words))
    without = mean_relevance([composed(list(pair), [1, -1]) for pair in pairs])
    together = mean_relevance([composed(list(pair), [1, 1]) for pair in pairs])

    assert without > 0.75 * plain
    assert together > 0.75 * plain
