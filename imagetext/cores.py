"""How many cores this process may use."""

import os


def indexing_streams() -> int:
    """Batches that the indexer encodes at once: a core for each wastes none on waiting."""
    return min(2, usable_cores())


def usable_cores() -> int:
    """Those that it is bound to, as `taskset` or a container's cpuset do, or all of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
