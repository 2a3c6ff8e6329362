"""A captioner's decoder with more words, and with concepts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from imagetext.models.captioner.concepts import Concepts
from imagetext.models.captioner.gru import AttentionDecoder
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vit_bert import VitBert
from imagetext.models.captioner.vocabulary import SPECIAL, UNKNOWN, Vocabulary, words_of
from imagetext.models.encoder.minilm import load_minilm, text_states
from imagetext.wire.errors import InvalidParameter
from training.concept_data import Taught
from training.concepts import start_classifier
from training.open_caption_data import CaptionData

SAYABLE_EACH = 3  # words for a name
SAYABLE_SCALE = 20.0  # of the similarities that tell how fit each is
RIDGE = 0.3  # of the map from MiniLM's embeddings to the captioner's
AT_ONCE = 500  # pictures
Growing = AttentionDecoder | VitBert


def extended(vocabulary: Vocabulary, texts: Sequence[str], min_count: int) -> Vocabulary:
    """The words that it has, then those that the texts have at least `min_count` times."""
    more = [word for word in Vocabulary.of(texts, min_count).words if word not in set(vocabulary.words)]
    return Vocabulary([*vocabulary.words, *more])


def grown(
    captioner: CaptionModel, vocabulary: Vocabulary, data: CaptionData, feature_dropout: float, dropout: float
) -> Growing:
    """The captioner's decoder, with more words and with concepts.

    Raises:
        InvalidParameter: it is no compact captioner.
    """
    old = captioner.decoder
    if not isinstance(old, AttentionDecoder | VitBert):
        raise InvalidParameter(f"{captioner.name} is no compact captioner.")
    table, sayable = word_table(data, vocabulary)
    sizes = {"vocabulary": len(vocabulary), "names": len(data.names), "sayable": len(sayable)}
    new: Growing = (
        AttentionDecoder(replace(old.shape, **sizes), feature_dropout, dropout)
        if isinstance(old, AttentionDecoder)
        else VitBert(replace(old.shape, **sizes), feature_dropout, dropout)
    )
    _take_over(new, old, vocabulary)
    concepts = new.concepts
    assert concepts is not None, "its shape has names"
    concepts.vectors.copy_(_states(data.names))
    concepts.words.copy_(table)
    for place, word in enumerate(sayable):
        concepts.column[vocabulary.encode(word)[0]] = place
    start_concepts(concepts, data)
    return new


@torch.no_grad()
def _take_over(new: Growing, old: Growing, vocabulary: Vocabulary) -> None:
    """A new word's embedding lies where that of MiniLM leads: the map is fitted to the words that were known."""
    minilm, tokenizer = load_minilm()
    embeddings = minilm.embeddings.word_embeddings.weight
    pieces = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word)) for word in vocabulary.words]
    meant = F.pad(torch.stack([embeddings[row].mean(0) for row in pieces]), (0, 1), value=1.0)
    known = old.words - len(SPECIAL)
    square = meant[:known].T @ meant[:known] + RIDGE * torch.eye(meant.shape[1])
    state = new.state_dict()
    for name, tensor in old.state_dict().items():
        target = state[name]
        target[: len(tensor)].copy_(tensor)
        if target.shape == tensor.shape:
            continue
        if tensor.dim() == 1:  # biases: new words are as rare as the rarest
            target[len(tensor) :] = tensor[len(SPECIAL) :].kthvalue(len(tensor) // 10).values
        else:
            fitted = torch.linalg.solve(square, meant[:known].T @ tensor[len(SPECIAL) :])
            target[len(tensor) :].copy_(meant[known:] @ fitted)
    new.load_state_dict(state)


@torch.inference_mode()
def _states(names: Sequence[str]) -> Tensor:
    """Unit rows (names, width) of MiniLM."""
    minilm, tokenizer = load_minilm()
    tokens = tokenizer(list(names), padding=True, return_tensors="pt")["input_ids"]
    return F.normalize(text_states(minilm, tokens), dim=-1)


def word_table(data: CaptionData, vocabulary: Vocabulary) -> tuple[Tensor, list[str]]:
    """Of each name the words that a caption may use for it, (names, words), rows that sum to 1; and those words."""
    known = [word for word in data.word_vectors if vocabulary.encode(word) != [UNKNOWN]]
    column = {word: place for place, word in enumerate(known)}
    vectors = torch.stack([data.word_vectors[word] for word in known])
    table = torch.zeros(len(data.names), len(known))
    for number, name in enumerate(data.names):
        fit = {column[word] for word in [*data.kind_words[number], words_of(name)[-1]] if word in column}
        places = torch.tensor(sorted(fit) or list(range(len(known))))
        likely = (SAYABLE_SCALE * (vectors[places] @ data.name_vectors[number])).softmax(-1)
        best = likely.topk(min(SAYABLE_EACH, len(places)))
        table[number, places[best.indices]] = best.values / best.values.sum()
    used = (table.sum(0) > 0).nonzero()[:, 0].tolist()
    return table[:, used], [known[place] for place in used]


def start_concepts(concepts: Concepts, data: CaptionData) -> None:
    """A regression to what the packaged classifier says, as in `training.concepts`."""
    taught = [Taught(_pooled(grids), log_probabilities.exp()) for grids, log_probabilities in data.classified]
    features = torch.cat([each.pooled.flatten(0, 1) for each in taught])
    concepts.mean.copy_(features.mean(0))
    concepts.std.copy_(features.std(0) + 1e-3)
    start_classifier(concepts, taught)
    concepts.classifier.requires_grad_(False)  # trained on these pictures it forgets what they do not show


def _pooled(grids: NDArray[np.float16]) -> Tensor:
    """Of whole pictures and their mirrors, (n, 2, channels)."""
    parts = [
        np.asarray(grids[start : start + AT_ONCE, :2], dtype=np.float32) for start in range(0, len(grids), AT_ONCE)
    ]
    return torch.cat([torch.from_numpy(part).mean(2) for part in parts])
