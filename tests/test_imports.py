"""Who may import what; the table stands in CONTRIBUTING.md."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "imagetext": set(),
    "services/chassis": {"imagetext"},
    "services/caption": {"imagetext", "services.chassis"},
    "services/retrieval": {"imagetext", "services.chassis"},
    "services/gateway": {"imagetext", "services.chassis"},
    "indexer": {"imagetext"},
    "gallery": {"imagetext"},
    "training": {"imagetext"},
    "bench": {"imagetext", "indexer"},
}
OURS = {"imagetext", "services", "indexer", "gallery", "training", "bench", "tests", "scripts"}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from services.chassis import app` names its room only together with what is imported.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_what_they_may(room: str) -> None:
    """Imports between rooms point one way."""
    own = room.replace("/", ".")
    allowed = (*MAY_IMPORT[room], own)
    files = list((ROOT / room).rglob("*.py"))

    strangers = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imported(file)
        if name.split(".")[0] in OURS and not any(name == a or name.startswith(a + ".") for a in allowed)
    ]

    assert files
    assert not strangers


def loaded(module: str, heavy: set[str]) -> list[str]:
    """Which of the heavy packages a process has loaded once it has imported a module."""
    code = f"import sys, {module}; print(*sorted({heavy} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stdout.split()


@pytest.mark.parametrize("module", ["imagetext.wire.contracts", "imagetext.wire.errors", "services.gateway.app"])
def test_the_gateways_process_stays_light(module: str) -> None:
    """What the gateway imports draws in no torch, numpy, PIL or faiss."""
    assert loaded(module, {"torch", "numpy", "PIL", "faiss", "transformers"}) == []


@pytest.mark.parametrize(
    "module",
    [
        "services.caption.app",
        "services.retrieval.app",
        "imagetext.models.captioner.engine",
        "imagetext.models.encoder.engine",
        "imagetext.models.prepare",
        "indexer.build_command",
        "indexer.distributed.on_ray",
    ],
)
def test_serving_imports_no_torch(module: str) -> None:
    """Exported models run in engines, which are loaded when they are needed: torch takes seconds and half a GB."""
    assert loaded(module, {"torch", "transformers", "onnx", "openvino", "onnxruntime"}) == []
