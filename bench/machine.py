"""What a run was measured on."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from imagetext.cores import usable_cores

BUSY = 0.5  # load before a run, of the last minute
FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
PACKAGES = ("torch", "transformers", "openvino", "onnxruntime", "faiss-cpu", "numpy", "pillow", "fastapi", "uvicorn")


def describe() -> dict[str, Any]:
    """Processor, memory in GiB, versions, the load before the run and the time in UTC; nothing that names the host."""
    fields = _cpuinfo()
    flags = fields.get("flags", "").split()
    return {
        "cpu": fields.get("model name", platform.machine()),
        "cores": usable_cores(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "load": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def warn_if_busy(machine: dict[str, Any]) -> None:
    """A sentence for whoever starts a run on a machine that does other work."""
    if machine["load"] > BUSY:
        sys.stderr.write(f"The machine is busy (load {machine['load']}): what is measured is not worth keeping.\n")


def _cpuinfo() -> dict[str, str]:
    """Of the first processor; empty where the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return found.stdout.strip() or None
