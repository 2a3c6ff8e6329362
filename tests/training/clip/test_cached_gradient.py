"""Gradients in chunks are the gradients of the whole batch."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.imagetext.encoder.tiny_clip import tiny_clip
from training.clip.tune import ClipTowers, clip_loss
from training.contrastive import Side, backward_in_chunks

SCALE = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))


def loss(pictures: Tensor, texts: Tensor) -> Tensor:
    return clip_loss(pictures, texts, SCALE.exp(), hardest=0.5, margin=0.2)


def towers(dropout: float = 0.0) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(1)
    made = [nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.Dropout(dropout), nn.Linear(9, 4)) for _ in range(2)]
    return made[0].double(), made[1].double()


def gradients(*modules: nn.Module) -> list[Tensor]:
    found = [p.grad.clone() for module in modules for p in module.parameters()]
    return [*found, SCALE.grad.clone()]


def encode(module: nn.Module, chunk: Tensor) -> Tensor:
    return F.normalize(module(chunk), dim=-1)


def test_chunks_give_the_plain_gradient() -> None:
    """In double precision both ways agree to the last digits, uneven chunks and the temperature included."""
    picture, text = towers()
    pictures, texts = torch.randn(7, 5).double(), torch.randn(14, 5).double()
    SCALE.grad = None
    plain = loss(encode(picture, pictures), encode(text, texts))
    plain.backward()
    expected = gradients(picture, text)
    picture.zero_grad(), text.zero_grad()
    SCALE.grad = None

    value = backward_in_chunks(
        [
            Side(lambda chunk: encode(picture, chunk), pictures.split(3)),
            Side(lambda chunk: encode(text, chunk), texts.split(4)),
        ],
        loss,
    )

    assert math.isclose(value, float(plain.detach()), rel_tol=1e-12)
    for mine, other in zip(gradients(picture, text), expected, strict=True):
        assert torch.allclose(mine, other, rtol=1e-9, atol=1e-12)
        assert mine.abs().sum() > 0


def test_a_real_clip_gives_the_plain_gradient() -> None:
    """The same with transformers' network, in single precision."""
    torch.manual_seed(0)
    model = tiny_clip(layers=2)
    pair = ClipTowers(model, bfloat16=False)
    pictures, ids = torch.randn(6, 3, 32, 32), torch.randint(0, 50, (12, 5))
    ids[:, -1] = 53
    texts = torch.stack([ids, torch.ones_like(ids)], 1)

    def cost(seen: Tensor, read: Tensor) -> Tensor:
        return clip_loss(seen, read, model.logit_scale.exp(), 0.0, 0.2)

    cost(pair.pictures(pictures), pair.texts(texts)).backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    backward_in_chunks([Side(pair.pictures, pictures.split(2)), Side(pair.texts, texts.split(5))], cost)

    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert set(found) == set(expected)
    assert all(torch.allclose(found[name], expected[name], rtol=1e-3, atol=1e-5) for name in expected)


def test_dropout_is_the_same_both_times() -> None:
    """The gradient is that of the vectors which the loss saw, and chance goes on from where the first pass left it."""
    picture, text = towers(dropout=0.5)
    pictures, texts = torch.randn(6, 5).double(), torch.randn(6, 5).double()
    SCALE.grad = None
    torch.manual_seed(3)
    whole = [torch.cat([encode(m, c) for c in x.split(2)]) for m, x in ((picture, pictures), (text, texts))]
    loss(*whole).backward()
    after = torch.get_rng_state()
    expected = gradients(picture, text)
    picture.zero_grad(), text.zero_grad()
    SCALE.grad = None

    torch.manual_seed(3)
    sides = [Side(lambda c: encode(picture, c), pictures.split(2)), Side(lambda c: encode(text, c), texts.split(2))]
    backward_in_chunks(sides, loss)

    for mine, other in zip(gradients(picture, text), expected, strict=True):
        assert torch.allclose(mine, other, rtol=1e-9, atol=1e-12)
    assert torch.equal(torch.get_rng_state(), after)


def test_a_locked_side_is_encoded_once() -> None:
    """What is not trained takes no second pass, and no gradient."""
    picture, text = towers()
    seen = []

    def locked(chunk: Tensor) -> Tensor:
        seen.append(len(chunk))
        return encode(picture, chunk)

    data = torch.randn(6, 5).double()
    backward_in_chunks([Side(locked, data.split(2), trained=False), Side(lambda c: encode(text, c), [data])], loss)

    assert seen == [2, 2, 2]
    assert all(p.grad is None for p in picture.parameters())
    assert all(p.grad is not None for p in text.parameters())


def test_a_loss_that_is_no_number_leaves_no_gradient() -> None:
    """One bad batch must not spoil the weights."""
    picture, text = towers()
    data = torch.randn(4, 5).double()

    value = backward_in_chunks(
        [Side(lambda c: encode(picture, c), [data]), Side(lambda c: encode(text, c), [data * math.nan])], loss
    )

    assert math.isnan(value)
    assert all(p.grad is None for p in (*picture.parameters(), *text.parameters()))
