"""MiniLM as engines are given it, and its tokens, against transformers' own."""

from typing import Any

import pytest
import torch

from imagetext.models.encoder.dual import MAX_TOKENS, TextTower
from imagetext.models.encoder.minilm import PAD, LeanBert, load_minilm

LENGTHS = range(1, 41)
TEXT = "a brown dog runs across the grass with a ball in its mouth"


@pytest.fixture(scope="module")
def minilm() -> tuple[Any, Any]:
    return load_minilm()


@torch.inference_mode()
def test_states_of_every_length_are_those_of_transformers(minilm: tuple[Any, Any]) -> None:
    """One text alone, of 1 to 40 tokens."""
    bert, _ = minilm
    lean = LeanBert(bert).eval()
    torch.manual_seed(0)

    for steps in LENGTHS:
        tokens = torch.randint(1, bert.config.vocab_size, (1, steps))
        expected = bert(input_ids=tokens).last_hidden_state
        assert torch.allclose(lean(tokens, torch.ones(1, steps)), expected, atol=1e-5), steps


@torch.inference_mode()
def test_padding_changes_no_state_that_counts(minilm: tuple[Any, Any]) -> None:
    """Texts of 1 to 40 tokens in one batch."""
    bert, _ = minilm
    torch.manual_seed(0)
    tokens = torch.randint(1, bert.config.vocab_size, (len(LENGTHS), max(LENGTHS)))
    tokens[torch.arange(max(LENGTHS)) >= torch.tensor(LENGTHS)[:, None]] = PAD
    counts = tokens != PAD

    states = LeanBert(bert).eval()(tokens, counts.float())

    expected = bert(input_ids=tokens, attention_mask=counts.long()).last_hidden_state
    assert torch.allclose(states[counts], expected[counts], atol=1e-5)


@pytest.mark.parametrize(
    "texts", [[TEXT], ["", "dog", TEXT], [f"{TEXT} " * 20, "Überraschung, 東京 🐕"], ["[MASK] ##ing"]]
)
def test_tokens_are_those_of_the_tokenizer(minilm: tuple[Any, Any], texts: list[str]) -> None:
    """Padded, cut off after so many, and whatever the tokenizer was asked for in between."""
    bert, tokenizer = minilm
    tower = TextTower(bert, tokenizer)
    expected = tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    tokenizer("another text", truncation=True, max_length=3)

    assert torch.equal(tower.tokens(texts), expected["input_ids"])
