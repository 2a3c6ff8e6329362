"""Retrieval scores on cases small enough to work out by hand."""

import numpy as np

from training.ranking import retrieval_scores


def unit(rows: list[list[float]]) -> np.ndarray:
    array = np.array(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_perfect_and_reversed_rankings() -> None:
    """Texts that equal their pictures are found first; texts that equal another's are found last."""
    pictures = unit([[1, 0], [0, 1]])

    right = retrieval_scores(pictures, pictures, [0, 1])
    wrong = retrieval_scores(pictures[::-1].copy(), pictures, [0, 1])

    assert right["text_to_picture_r1"] == right["picture_to_text_r1"] == 100
    assert wrong["text_to_picture_r1"] == wrong["picture_to_text_r1"] == 0
    assert wrong["text_to_picture_r5"] == 100
    assert (right["text_to_picture_median_rank"], wrong["text_to_picture_median_rank"]) == (1, 2)


def test_a_picture_counts_its_best_caption() -> None:
    """One good caption of two is enough for picture to text, while text to picture counts both."""
    pictures = unit([[1, 0, 0], [0, 1, 0]])
    texts = unit([[1, 0, 0], [0, 1, 0.1], [0, 1, 0], [0, 1, 0]])

    scores = retrieval_scores(texts, pictures, [0, 0, 1, 1])

    assert scores["text_to_picture_r1"] == 75
    assert scores["picture_to_text_r1"] == 100
