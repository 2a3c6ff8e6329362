"""What a run is measured on: processor, instruction set, package versions, and the code itself."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from imagetext.machine import usable_cores

BUSY = 0.5  # load of the last minute, before a run
FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
PACKAGES = ("torch", "transformers", "openvino", "onnxruntime", "faiss-cpu", "numpy", "pillow", "fastapi", "uvicorn")
ROOT = Path(__file__).parents[1]
CODE = ("imagetext", "services", "indexer", "gallery", "bench")  # whose Python files affect the results

OTHER, AVX2, AVX2_VNNI, AVX512, AVX512_VNNI, AMX = "other", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "amx"
# From lowest to highest, with the flags of /proc/cpuinfo that oneDNN requires for each.
_CORE = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
INSTRUCTION_SETS = {
    OTHER: set[str](),
    AVX2: {"avx2"},
    AVX2_VNNI: {"avx2", "avx_vnni"},
    AVX512: _CORE,
    AVX512_VNNI: _CORE | {"avx512_vnni"},
    AMX: _CORE | {"avx512_vnni", "amx_tile", "amx_int8", "amx_bf16"},
}
CEILING = "ONEDNN_MAX_CPU_ISA"
_CEILINGS = {
    "sse41": OTHER,
    "avx": OTHER,
    "avx2": AVX2,
    "avx2_vnni": AVX2_VNNI,
    "avx2_vnni_2": AVX2_VNNI,
    "avx512_core": AVX512,
    "avx512_core_vnni": AVX512_VNNI,
    "avx512_core_bf16": AVX512_VNNI,
    "avx512_core_fp16": AVX512_VNNI,
    "avx10_1_512": AVX512_VNNI,
    "avx10_2_512": AVX512_VNNI,
}  # other values, such as ALL and AVX512_CORE_AMX, exclude none of the sets above


def instruction_set(flags: Collection[str], ceiling: str | None = None) -> str:
    """The name of the highest instruction set that oneDNN, and OpenVINO with it, uses.

    Processors with bfloat16 but without AMX count as avx512-vnni; those without AVX2 as "other".

    Args:
        flags: from /proc/cpuinfo.
        ceiling: the value of ONEDNN_MAX_CPU_ISA, in upper or lower case.
    """
    names = list(INSTRUCTION_SETS)
    highest = names.index(_CEILINGS.get((ceiling or "").lower(), AMX))
    return [name for name in names[: highest + 1] if INSTRUCTION_SETS[name] <= set(flags)][-1]


def instruction_set_here() -> str:
    """Of this machine, below the ceiling if one is set."""
    return instruction_set(_cpuinfo().get("flags", "").split(), os.environ.get(CEILING))


def describe() -> dict[str, Any]:
    """Processor, memory in GiB, versions, the load before the run and the time in UTC; nothing that names the host."""
    fields = _cpuinfo()
    flags = fields.get("flags", "").split()
    return {
        "cpu": fields.get("model name", platform.machine()),
        "cores": usable_cores(),
        "instruction_set": instruction_set_here(),
        "ceiling": os.environ.get(CEILING),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "load": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "code": code_digest(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def warn_if_busy(machine: dict[str, Any]) -> None:
    """Warn whoever starts a run on a machine that is doing other work."""
    if machine["load"] > BUSY:
        sys.stderr.write(f"The machine is busy (load {machine['load']}): do not keep these results.\n")


def code_digest(root: Path = ROOT) -> str:
    """Changes with any file of code or models, committed or not."""
    files = [file for room in CODE for file in (root / room).rglob("*.py")]
    files += [file for file in (root / "models").rglob("*") if file.is_file()]
    digest = hashlib.sha256()
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()[:12]


def _cpuinfo() -> dict[str, str]:
    """Of the first processor; empty if the system does not tell."""
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
