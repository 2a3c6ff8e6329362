"""Self-critical training on CIDEr-D with the mean of the other samples as the baseline.

Sources: Rennie et al. (2017); the baseline of Luo, "A Better Variant of Self-Critical Sequence Training" (2020). The
end token belongs to the candidate, to the references and to the document frequencies: left out of the reward, it lets
a model score by breaking off (Hu et al., 2023).
"""

import torch
from torch import Tensor
from tqdm import tqdm

from imagetext.models.captioner.decoder import Decoder, Memory, repeated
from imagetext.models.captioner.vocabulary import END, PAD, START, Vocabulary, words_of
from training.architectures import CaptionNetwork
from training.captions import CaptionSet, batches, shifted
from training.loop import Stepper
from training.metrics import CiderD, CiderVector
from training.processes import mixed_precision

END_WORD = "<end>"


class Reward:
    """CIDEr-D of sampled captions of one set's pictures, document frequencies from that set's references."""

    def __init__(self, part: CaptionSet, vocabulary: Vocabulary) -> None:
        references = [[[*words_of(c), END_WORD] for c in picture.captions] for picture in part.pictures]
        self._vocabulary = vocabulary
        self._cider = CiderD(references)
        self._references: list[list[CiderVector]] = [[self._cider.vector(w) for w in one] for one in references]

    def __call__(self, rows: Tensor, samples: Tensor) -> Tensor:
        """Pictures (n,), their sampled tokens (n, samples, steps) -> rewards (n, samples)."""
        scores = [
            [self._cider.score(self._words(sample), self._references[row]) for sample in sampled]
            for row, sampled in zip(rows.tolist(), samples.tolist(), strict=True)
        ]
        return torch.tensor(scores)

    def _words(self, tokens: list[int]) -> list[str]:
        return [END_WORD if token == END else self._vocabulary.word(token) for token in tokens if token != PAD]


@torch.no_grad()
def sample(decoder: Decoder, memory: Memory, pictures: int, count: int, max_words: int) -> Tensor:
    """`count` captions for each picture, drawn word by word: (pictures, count, steps), padded after the end."""
    state = repeated(decoder.begin(memory), count)
    rows, device = pictures * count, memory[0].device
    words, open_rows = torch.full((rows,), START, device=device), torch.ones(rows, dtype=torch.bool, device=device)
    drawn = []
    for _ in range(max_words + 1):
        logits, _, state = decoder.step(words, memory, state)
        logits = _without_banned(logits)
        words = torch.where(open_rows, torch.multinomial(logits.softmax(-1), 1)[:, 0], PAD)
        drawn.append(words)
        open_rows = open_rows & (words != END)
        if not open_rows.any():
            break
    return torch.stack(drawn, 1).view(pictures, count, -1)


def self_critical_pass(
    network: CaptionNetwork, stepper: Stepper, part: CaptionSet, reward: Reward, batch: int, samples: int, label: str
) -> float:
    """Train the decoder on samples for all pictures once; returns the mean reward.

    Without dropout, in drawing as in scoring: the gradient is that of the policy that drew. Scored with dropout,
    captions that were never likely are pushed down without end.
    """
    network.eval()
    seen = []
    total = -(-len(part.pictures) // batch)
    processes, device = stepper.processes, network.device
    shared = batches([part], batch, processes)
    bar = tqdm(shared, total=total, desc=label, unit="batch", disable=not processes.main)
    for _, rows in bar:
        with mixed_precision(device.type), torch.no_grad():
            grid = network.backbone.grid(part.views(rows).to(device))
            drawn = sample(
                network.decoder, network.decoder.remember(grid), len(rows), samples, part.tokens.shape[2] - 1
            )
        rewards = reward(rows, drawn)
        stepper.step(_loss(network, grid, drawn, _advantage(rewards).to(device)))
        seen.append(processes.mean(rewards.mean()))
        bar.set_postfix(reward=f"{sum(seen) / len(seen):.3f}")
    return sum(seen) / len(seen)


def _advantage(rewards: Tensor) -> Tensor:
    """Each sample's reward less the mean of its picture's other samples."""
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    return rewards - others


def _without_banned(logits: Tensor) -> Tensor:
    """Words that no sentence may hold get no probability, in drawing as in scoring: one that is never drawn but keeps
    its probability is a place where a bad caption's goes, step by step, until the rest is noise."""
    return logits.float().index_fill(-1, torch.tensor(Vocabulary.banned, device=logits.device), -torch.inf)


def _loss(network: CaptionNetwork, grid: Tensor, drawn: Tensor, advantage: Tensor) -> Tensor:
    inputs, targets, counted = shifted(drawn.flatten(0, 1))
    decoder: Decoder = network.decoder
    with mixed_precision(grid.device.type):
        logits = _without_banned(decoder.teach(inputs, decoder.remember(grid), counted))
    log_probabilities = logits.log_softmax(-1).gather(1, targets[counted][:, None])[:, 0]
    weights = advantage.flatten()[:, None].expand(targets.shape)[counted]
    return -(weights * log_probabilities).mean()
