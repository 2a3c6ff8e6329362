"""Mixed precision only where it is faster."""

import torch

from training.processes import bfloat16_is_native, mixed_precision


def test_products_are_in_bfloat16_only_where_the_processor_has_it() -> None:
    """The context gives what `bfloat16_is_native` promises, and nothing where it is switched off."""
    rows = torch.ones(2, 2)

    with mixed_precision():
        mixed = (rows @ rows).dtype
    with mixed_precision(enabled=False):
        plain = (rows @ rows).dtype

    assert mixed == (torch.bfloat16 if bfloat16_is_native("cpu") else torch.float32)
    assert plain == torch.float32
