"""Which sentences say nothing new."""

import random

import pytest

from training.collect.sentences import Said, _shingles, _similarity, normalised


@pytest.mark.parametrize(
    "again",
    [
        "A brown dog runs along the beach at sunset.",
        "the brown DOG runs along a beach at sunset",
        "1. A brown dog runs along the beach, at sunset!",
        "A brown dog is running along the beach at sunset.",
        "A brown dog runs along the wide beach at sunset.",
    ],
)
def test_the_same_and_nearly_the_same(again: str) -> None:
    """Case, articles, punctuation, numbers, the form of a verb and a small word more make nothing new."""
    said = Said()
    said.add("A brown dog runs along the beach at sunset.")

    assert not said.is_new(again)


@pytest.mark.parametrize("other", ["A cat sleeps along the beach.", "A dog swims in a lake.", "Kites over a beach."])
def test_what_shares_words_is_new(other: str) -> None:
    """Another subject or another action is another picture."""
    said = Said()
    said.add("A dog runs along the beach.")

    assert said.is_new(other)


def test_the_index_overlooks_nothing() -> None:
    """Looking at the rarest shingles alone gives what comparing with every sentence gives."""
    words = ["dog", "cat", "man", "boat", "runs", "sleeps", "red", "old", "beach", "lake", "house", "in", "on", "near"]
    chance = random.Random(4)
    said = Said(0.6)
    kept: list[set[str]] = []
    for _ in range(500):
        text = " ".join(chance.choices(words, k=chance.randint(2, 5)))
        shingles = _shingles(normalised(text))
        expected = all(_similarity(shingles, other) < 0.6 for other in kept)

        assert said.is_new(text) == expected
        if expected:
            said.add(text)
            kept.append(shingles)
    assert 50 < len(kept) < 450
