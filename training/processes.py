"""Mixed precision, and the processes of one run, one for each GPU, as `accelerate launch` starts them.

All processes hold the same weights, share every batch and average their gradients, so settings mean the same on several
GPUs as on one. Only the main process scores, and writes checkpoints, logs and models. A single process talks to nobody
and draws no extra random numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import torch
from torch import Tensor, nn

# The others wait while the main process scores or fills a cache; torch's default is minutes.
PATIENCE = timedelta(days=1)


@cache
def bfloat16_is_native(device: str) -> bool:
    """Whether this device ("cpu", "cuda") has instructions for bfloat16; emulation is several times slower."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("bf16"))


def mixed_precision(device: str = "cpu", enabled: bool = True) -> torch.autocast:
    """A context for products in bfloat16 where they are native; losses and similarities belong in float32."""
    return torch.autocast(device, torch.bfloat16, enabled=enabled and bfloat16_is_native(device))


@dataclass(frozen=True)
class Processes:
    """The number of processes, the index of this one, and its device."""

    count: int = 1
    index: int = 0
    device: str = "cpu"

    @property
    def main(self) -> bool:
        return self.index == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's share of a batch (n, ...); empty if there are more processes than rows."""
        return rows[self.index :: self.count]

    def every(self, number: int) -> list[int]:
        """The number of each process, the main one first."""
        if self.count == 1:
            return [number]
        from accelerate.utils import gather

        return [int(one) for one in gather(torch.tensor([number], device=self.device))]

    def mean(self, value: Tensor) -> float:
        """The mean of a value () over the processes; NaN if one of them is NaN."""
        if self.count == 1:
            return float(value)
        from accelerate.utils import reduce

        return float(reduce(value.to(self.device), "mean"))

    def gather(self, rows: Tensor) -> list[Tensor]:
        """The rows (n, ...) of every process, in order; n may differ, and no graph is kept."""
        if self.count == 1:
            return [rows]
        from accelerate.utils import gather, pad_across_processes

        parts = torch.chunk(gather(pad_across_processes(rows)), self.count)
        return [part[:length] for part, length in zip(parts, self.every(len(rows)), strict=True)]

    def average_gradients(self, module: nn.Module) -> None:
        """Give every process the mean gradients; all must have gradients of the same parameters."""
        if self.count == 1:
            return
        from accelerate.utils import reduce

        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        mean = reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
        for gradient, part in zip(gradients, torch.split(mean, [one.numel() for one in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def draw_alike(self) -> None:
        """From here on all processes draw the same random numbers as the main one."""
        if self.count > 1:
            from accelerate.utils import broadcast

            torch.set_rng_state(broadcast(torch.get_rng_state().to(self.device)).cpu())

    def draw_apart(self) -> None:
        """From here on each process draws its own, so that dropout differs; the main one as if it were alone."""
        if not self.main:
            torch.manual_seed(int(torch.randint(2**62, ())) + self.index)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process runs the block first; the others then find its result in a file."""
        if not self.main:
            self.wait()
        yield
        if self.main:
            self.wait()

    def end(self) -> None:
        """The last call of a run."""
        if self.count > 1:
            from accelerate import PartialState

            self.wait()
            PartialState().destroy_process_group()


ALONE = Processes()


def launched(device: str = "") -> Processes:
    """The processes that this one was launched with, each on its own GPU, or on the CPU without GPUs.

    A given `device` ("cpu", "cuda:1") overrides that; with several processes only "cpu" does.
    """
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=PATIENCE)
    own = "cpu" if state.device.type == "cpu" else str(state.device)
    return Processes(state.num_processes, state.process_index, device if device and state.num_processes == 1 else own)
