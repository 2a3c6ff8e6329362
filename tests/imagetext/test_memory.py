"""Memory that is free again."""

import platform
import subprocess
import sys

import pytest

_FREE_AND_TAKE = """
import resource, sys
from imagetext.machine import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(30):
    blocks = [bytearray(4_000_000) for _ in range(3)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_not_asked_for_again() -> None:
    """Thirty times the same 12 MB come from the system once."""
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", _FREE_AND_TAKE, how])) for how in ("give back", "keep")
    }

    assert faults["keep"] < faults["give back"] / 3
