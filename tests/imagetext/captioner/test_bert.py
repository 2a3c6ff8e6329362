"""The BERT that writes: the same numbers as transformers' own, step by step and all at once."""

import pytest
import torch
from transformers import BertConfig, BertLMHeadModel

from imagetext.models.captioner.bert import BertDecoder
from imagetext.models.captioner.decoder import repeated, selected

WORDS, PICTURES, EACH, STEPS = 31, 2, 3, 5


@pytest.fixture
def decoder() -> BertDecoder:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=12,
        is_decoder=True,
        add_cross_attention=True,
    )
    return BertDecoder(BertLMHeadModel(config).eval())


@pytest.fixture
def states() -> torch.Tensor:
    return torch.randn(PICTURES, 7, 16)


@pytest.fixture
def words() -> torch.Tensor:
    return torch.randint(0, WORDS, (PICTURES * EACH, STEPS))


@torch.inference_mode()
def test_teaching_gives_the_logits_of_transformers(
    decoder: BertDecoder, states: torch.Tensor, words: torch.Tensor
) -> None:
    """All words at once, one copy of a picture's keys for all its captions: the numbers stay the same."""
    expected = decoder.bert(input_ids=words, encoder_hidden_states=states.repeat_interleave(EACH, 0)).logits

    logits = decoder.teach(words, decoder.remember(states), torch.ones_like(words, dtype=torch.bool))

    assert torch.allclose(logits.view(expected.shape), expected, atol=1e-5)


@torch.inference_mode()
def test_steps_give_the_logits_of_teaching(decoder: BertDecoder, states: torch.Tensor, words: torch.Tensor) -> None:
    """Word by word with the cache is the same as all at once; attention is a distribution over the places."""
    memory = decoder.remember(states)
    taught = decoder.teach(words, memory, torch.ones_like(words, dtype=torch.bool)).view(*words.shape, -1)

    state = repeated(decoder.begin(memory), EACH)
    for step in range(STEPS):
        logits, weights, state = decoder.step(words[:, step], memory, state)

        assert torch.allclose(logits, taught[:, step], atol=1e-5)
        assert weights.shape == (PICTURES * EACH, 7)
        assert torch.allclose(weights.sum(1), torch.ones(PICTURES * EACH))


@torch.inference_mode()
def test_selected_rows_go_on_from_their_parents(
    decoder: BertDecoder, states: torch.Tensor, words: torch.Tensor
) -> None:
    """After a selection row i continues what its parent had written."""
    memory = decoder.remember(states)
    parents = torch.tensor([1, 1, 0, 5, 3, 3])
    _, _, state = decoder.step(words[:, 0], memory, repeated(decoder.begin(memory), EACH))

    logits, _, _ = decoder.step(words[:, 1], memory, selected(state, parents))

    whole = torch.stack([words[parents, 0], words[:, 1]], 1)
    counted = torch.tensor([[False, True]]).repeat(len(whole), 1)
    assert torch.allclose(logits, decoder.teach(whole, memory, counted), atol=1e-5)
