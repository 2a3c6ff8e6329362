"""Mixed precision where the processor multiplies in bfloat16 itself; elsewhere it would be several times slower.

The processes of one run, one for each GPU, as `accelerate launch` starts them.

All hold the same weights. They share every batch and average their gradients, so settings mean on several GPUs what
they mean on one. The main process alone scores, and writes checkpoints, logs and models. A process that is alone asks
nobody, and draws no random number more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import torch
from torch import Tensor, nn


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


# The others wait while the main process scores, or fills a cache; torch gives up after minutes.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Processes:
    """How many there are, which of them this one is, and where it computes."""

    count: int = 1
    index: int = 0
    device: str = "cpu"

    @property
    def main(self) -> bool:
        return self.index == 0

    def share(self, rows: Tensor) -> Tensor:
        """What this process takes of a batch (n, ...); nothing, where there are more processes than rows."""
        return rows[self.index :: self.count]

    def every(self, number: int) -> list[int]:
        """The number that each process has, the main one's first."""
        if self.count == 1:
            return [number]
        from accelerate.utils import gather

        return [int(one) for one in gather(torch.tensor([number], device=self.device))]

    def mean(self, value: Tensor) -> float:
        """The mean of a value (); not a number where one of them is none."""
        if self.count == 1:
            return float(value)
        from accelerate.utils import reduce

        return float(reduce(value.to(self.device), "mean"))

    def gather(self, rows: Tensor) -> list[Tensor]:
        """The rows (n, ...) of every process, in the order of the processes; n may differ, no graph is kept."""
        if self.count == 1:
            return [rows]
        from accelerate.utils import gather, pad_across_processes

        parts = torch.chunk(gather(pad_across_processes(rows)), self.count)
        return [part[:length] for part, length in zip(parts, self.every(len(rows)), strict=True)]

    def average_gradients(self, module: nn.Module) -> None:
        """Give every process the mean of all gradients; each must have gradients of the same parameters."""
        if self.count == 1:
            return
        from accelerate.utils import reduce

        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        mean = reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
        for gradient, part in zip(gradients, torch.split(mean, [one.numel() for one in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def draw_alike(self) -> None:
        """From here on all draw the random numbers that the main process draws."""
        if self.count > 1:
            from accelerate.utils import broadcast

            torch.set_rng_state(broadcast(torch.get_rng_state().to(self.device)).cpu())

    def draw_apart(self) -> None:
        """From here on each draws its own, so that dropout differs; the main process as if it were alone."""
        if not self.main:
            torch.manual_seed(int(torch.randint(2**62, ())) + self.index)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process does what is inside before the others do, who find it in a file."""
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
    """The processes that this one was started with, each on its own GPU; without GPUs on the processor.

    A device named ("cpu", "cuda:1") is taken instead; of several processes, each keeps its own GPU unless it is "cpu".
    """
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=PATIENCE)
    own = "cpu" if state.device.type == "cpu" else str(state.device)
    return Processes(state.num_processes, state.process_index, device if device and state.num_processes == 1 else own)
