"""BERT as engines compute it fastest, with the weights of transformers' own."""

from typing import Any

import torch
from torch import Tensor, nn

MASKED = -1e4  # added to a score whose key does not count: nothing after softmax, and within every precision


class LeanBert(nn.Module):
    """Token ids (n, steps), and which of them count (n, steps) in float32 -> the last states (n, steps, width).

    It gives what transformers' BertModel gives, and shares its weights where they are the same. With a text of a few
    words every operator costs, however little it computes: what is exported from there has three products for query,
    key and value, where one will do, and guards against rows without any key, which no text has.
    """

    def __init__(self, bert: Any) -> None:
        super().__init__()
        given = bert.embeddings
        self.words = given.word_embeddings
        self.places = nn.Parameter((given.position_embeddings.weight + given.token_type_embeddings.weight[0]).detach())
        self.norm = given.LayerNorm
        self.layers = nn.ModuleList(_Layer(layer, bert.config.num_attention_heads) for layer in bert.encoder.layer)

    def forward(self, tokens: Tensor, counts: Tensor) -> Tensor:
        bias = (1 - counts)[:, None, :, None] * MASKED
        x: Tensor = self.norm(self.words(tokens) + self.places[: tokens.shape[1]])
        for layer in self.layers:
            x = layer(x, bias)
        return x


class _Layer(nn.Module):
    def __init__(self, layer: Any, heads: int) -> None:
        super().__init__()
        attention, after = layer.attention.self, layer.attention.output
        self.heads = heads
        self.queries_keys_values = _one_product(attention, heads)
        self.out, self.attention_norm = after.dense, after.LayerNorm
        self.widen, self.activation = layer.intermediate.dense, layer.intermediate.intermediate_act_fn
        self.narrow, self.norm = layer.output.dense, layer.output.LayerNorm

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        n, steps, width = x.shape
        of_heads = self.queries_keys_values(x).view(n, steps, 3 * self.heads, width // self.heads).transpose(1, 2)
        query, key, value = of_heads.split(self.heads, 1)
        # A row for each key, a column for each query. The other way round OpenVINO finds attention, and takes a kernel
        # of its own for it: with lengths that it does not know beforehand that is slower than the products.
        shares = (key @ query.transpose(2, 3) + bias).softmax(2)
        found = shares.transpose(2, 3) @ value
        x = self.attention_norm(x + self.out(found.transpose(1, 2).reshape(n, steps, width)))
        y: Tensor = self.norm(x + self.narrow(self.activation(self.widen(x))))
        return y


@torch.no_grad()
def _one_product(attention: Any, heads: int) -> nn.Linear:
    """Queries, keys and values side by side; queries are scaled, so that scores need not be."""
    width = attention.query.in_features
    parts = attention.query, attention.key, attention.value
    scale = (width // heads) ** -0.5
    product = nn.Linear(width, 3 * width)
    product.weight.copy_(torch.cat([part.weight for part in parts]))
    product.bias.copy_(torch.cat([part.bias for part in parts]))
    product.weight[:width] *= scale
    product.bias[:width] *= scale
    return product
