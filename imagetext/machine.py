"""The machine under this process: its cores, and what the C library does with freed memory."""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
# What glibc's own thresholds may grow to. With lower ones fixed, torch's larger activations would come from the system.
_KEPT = 64 * 2**20  # bytes at the end of each heap
_LARGEST = 32 * 2**20  # bytes of a block that comes from a heap


def indexing_streams() -> int:
    """Batches that the indexer encodes at once: a core for each wastes none on waiting."""
    return min(2, usable_cores())


def usable_cores() -> int:
    """Those that it is bound to, as `taskset` or a container's cpuset do, or all of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Let this process keep what it frees for what it needs next, where its C library is glibc.

    By default pages go back to the system as soon as a picture is done with, and the system has to clear others for the
    next one, which takes as long as decoding a small picture. glibc's thresholds for that grow with the blocks that it
    meets; here they start where they may end.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGEST)


def give_back_freed_memory() -> None:
    """Return what is free to the system now, where the C library is glibc: after a model was loaded that is much."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
