"""Self-critical training on a decoder that is a table of logits."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from imagetext.models.captioner.decoder import Memory, State
from imagetext.models.captioner.vocabulary import PAD, START, UNKNOWN, Vocabulary
from training.captioner import Reward, sample, self_critical_pass
from training.captions import CaptionSet, caption_set
from training.dataset import CaptionedPicture
from training.features import Features
from training.loop import Average, Stepper

WORDS = ("a", "dog", "runs", "cat", "sleeps")
BANNED = [PAD, START, UNKNOWN]


class Table(nn.Module):
    """What follows a word does not depend on the picture."""

    words = len(WORDS) + 4
    memory_tensors = 1

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(self.words, self.words))

    def remember(self, features: Tensor) -> Memory:
        return (features,)

    def begin(self, memory: Memory) -> State:
        return (torch.zeros(len(memory[0]), 1),)

    def step(self, words: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        return self.table[words], torch.zeros(len(words), 1), state

    def teach(self, words: Tensor, memory: Memory, counted: Tensor) -> Tensor:
        return self.table[words][counted]


class Network(nn.Module):
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Table()
        self.backbone = SimpleNamespace(grid=lambda maps: maps)


def captioned() -> CaptionSet:
    """Eight pictures of the dog; the captions of others tell the reward which words are rare."""
    texts = ["a dog runs"] * 8 + ["a cat sleeps"] * 2
    pictures = [CaptionedPicture(Path(f"{number}.jpg"), (text,)) for number, text in enumerate(texts)]
    features = Features(np.ones((10, 1, 1, 1, 1), np.float16), (False,), Path("features"))
    return caption_set(pictures, features, Vocabulary(WORDS), max_words=5)


def trained(passes: int) -> tuple[Table, list[float]]:
    torch.manual_seed(0)
    network, part = Network(), captioned()
    optimizer = Adam(network.parameters(), lr=0.1)
    stepper = Stepper(network, optimizer, LambdaLR(optimizer, lambda _: 1.0), Average(network.decoder, 0.9))
    reward = Reward(part, Vocabulary(WORDS))
    rewards = [self_critical_pass(network, stepper, part, reward, 10, 8, "") for _ in range(passes)]  # type: ignore[arg-type]
    return network.decoder, rewards


def test_samples_earn_more_with_every_pass() -> None:
    """What is drawn after training is rewarded several times as much as what was drawn at first."""
    _, rewards = trained(60)
    assert sum(rewards[-5:]) > 3 * sum(rewards[:5])


def test_words_that_are_never_drawn_are_no_sink() -> None:
    """Pushing a bad caption's probability onto a word that cannot be drawn would cost nothing and teach nothing."""
    decoder, _ = trained(20)
    assert decoder.table.detach()[:, BANNED].eq(0).all()


def test_samples_hold_only_words_a_sentence_may_hold() -> None:
    """Banned tokens are never drawn."""
    decoder, _ = trained(0)
    drawn = sample(decoder, (torch.zeros(4, 1),), 4, 50, 5)
    before_end = drawn[:, :, 0]
    assert not torch.isin(before_end, torch.tensor(BANNED)).any()
