"""Texts to vectors as transformers' pages show it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.inference_mode()
def minilm_texts(bert: Any, tokenizer: Any, head: nn.Module, texts: Sequence[str]) -> Tensor:
    """Mean pooling as on the card of all-MiniLM-L6-v2, and the compact model's head: unit rows (n, dimensions)."""
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    states = bert(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).expand(states.size()).float()
    pooled = torch.sum(states * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)
    rows: Tensor = head(pooled)
    return rows


@torch.inference_mode()
def clip_texts(model: Any, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Unit rows (n, dimensions)."""
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    found = model.get_text_features(**batch).pooler_output
    return F.normalize(found, dim=-1)
