"""Self-critical training on CIDEr-D with the mean of the other samples as the baseline.

Sources: Rennie et al. (2017); the baseline of Luo, "A Better Variant of Self-Critical Sequence Training" (2020). The
end token belongs to the candidate, to the references and to the document frequencies: left out of the reward, it lets
a model score by breaking off (Hu et al., 2023).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from imagetext.captioner.network import AttentionDecoder, Memory
from imagetext.captioner.vocabulary import END, PAD, START, UNKNOWN, Vocabulary, words_of
from training.captions import CaptionSet, batches, shifted
from training.metrics import CiderD, CiderVector
from training.step import Stepper

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
def sample(decoder: AttentionDecoder, memory: Memory, count: int, max_words: int) -> Tensor:
    """`count` captions for each picture, drawn word by word: (pictures, count, steps), padded after the end."""
    state = decoder.initial(memory.repeat(count))
    rows = len(memory.start) * count
    words, open_rows = torch.full((rows,), START), torch.ones(rows, dtype=torch.bool)
    drawn = []
    for _ in range(max_words + 1):
        mixed, _, state = decoder(words[:, None], memory, state)
        logits = decoder.logits(mixed[:, 0]).float()
        logits[:, [PAD, START, UNKNOWN]] = -torch.inf
        words = torch.where(open_rows, torch.multinomial(logits.softmax(-1), 1)[:, 0], PAD)
        drawn.append(words)
        open_rows = open_rows & (words != END)
        if not open_rows.any():
            break
    return torch.stack(drawn, 1).view(len(memory.start), count, -1)


def self_critical_pass(
    decoder: AttentionDecoder,
    stepper: Stepper,
    sets: Sequence[CaptionSet],
    rewards: Sequence[Reward],
    batch: int,
    samples: int,
    label: str,
) -> float:
    """Train on samples for all pictures once; returns the mean reward."""
    seen = []
    reward_of = {id(part): reward for part, reward in zip(sets, rewards, strict=True)}
    total = sum(-(-len(part.pictures) // batch) for part in sets)
    bar = tqdm(batches(sets, batch), total=total, desc=label, unit="batch")
    for part, rows in bar:
        features = part.views(rows)
        decoder.eval()
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            drawn = sample(decoder, decoder.remember(features), samples, part.tokens.shape[2] - 1)
        reward = reward_of[id(part)](rows, drawn)
        stepper.step(_loss(decoder, features, drawn, _advantage(reward)))
        seen.append(float(reward.mean()))
        bar.set_postfix(reward=f"{sum(seen) / len(seen):.3f}")
    return sum(seen) / len(seen)


def _advantage(reward: Tensor) -> Tensor:
    """Each sample's reward less the mean of its picture's other samples."""
    others = (reward.sum(1, keepdim=True) - reward) / (reward.shape[1] - 1)
    return reward - others


def _loss(decoder: AttentionDecoder, features: Tensor, drawn: Tensor, advantage: Tensor) -> Tensor:
    decoder.train()
    inputs, targets, counted = shifted(drawn.flatten(0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        memory = decoder.remember(features)
        mixed, _, _ = decoder(inputs, memory, decoder.initial(memory.repeat(drawn.shape[1])))
        logits = decoder.logits(mixed[counted])
    log_probabilities = logits.float().log_softmax(-1).gather(1, targets[counted][:, None])[:, 0]
    weights = advantage.flatten()[:, None].expand(targets.shape)[counted]
    return -(weights * log_probabilities).mean()
