"""What the gateway's process loads."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE


def test_no_model_libraries(pytestconfig):
    """The gateway starts without torch, numpy, Pillow, FAISS and, where there is no Redis, its client: it is small."""
    program = (
        "import sys, services.gateway.app, services.gateway.__main__ as main;"
        "services.gateway.app.create_app(main.Settings());"
        "print(sorted({'torch', 'numpy', 'PIL', 'faiss', 'transformers', 'redis'} & sys.modules.keys()))"
    )
    done = _run([sys.executable, "-c", program], cwd=pytestconfig.rootpath)

    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_image_holds_all_that_is_imported(pytestconfig, tmp_path):
    """What the Dockerfile copies of our code is enough for the gateway to start."""
    root = pytestconfig.rootpath
    for line in (root / "services/gateway/Dockerfile").read_text().splitlines():
        match line.split():
            case ["COPY", *sources, target] if target != "./":
                for source in sources:
                    _copy(root / source, tmp_path / target / ("" if (root / source).is_dir() else Path(source).name))
    program = "import services.gateway.app as app, services.gateway.settings as s; app.create_app(s.Settings())"
    done = _run([sys.executable, "-c", program], cwd=tmp_path)

    assert (tmp_path / "services/gateway/app.py").exists()
    assert done.returncode == 0, done.stderr


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def test_a_bad_start_says_why(pytestconfig):
    """A setting that cannot be stops the start with a sentence that names the variable."""
    done = _run(
        [sys.executable, "-m", "services.gateway"], cwd=pytestconfig.rootpath, env={"GATEWAY_CAPTION_URL": "caption"}
    )

    assert done.returncode == 3
    assert done.stderr == "GATEWAY_CAPTION_URL: must be http://host:port, or several of them separated by commas\n"


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)
