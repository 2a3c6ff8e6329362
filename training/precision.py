"""Mixed precision where the processor multiplies in bfloat16 itself; elsewhere it would be several times slower."""

from functools import cache

import torch


@cache
def bfloat16_is_native(device: str) -> bool:
    """Whether products of bfloat16 have instructions of their own on this device ("cpu", "cuda")."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("bf16"))


def mixed_precision(device: str = "cpu", enabled: bool = True) -> torch.autocast:
    """A context in which products are in bfloat16; losses and similarities belong outside or in float32."""
    return torch.autocast(device, torch.bfloat16, enabled=enabled and bfloat16_is_native(device))
