"""What the gateway's process loads."""

import subprocess
import sys
from typing import Any


def test_no_model_libraries(pytestconfig):
    """The gateway starts without torch, numpy, Pillow or FAISS: it is small, and its image can be."""
    program = (
        "import sys, services.gateway.app, services.gateway.__main__ as main;"
        "services.gateway.app.create_app(main.Settings());"
        "print(sorted({'torch', 'numpy', 'PIL', 'faiss', 'transformers'} & sys.modules.keys()))"
    )
    done = _run([sys.executable, "-c", program], cwd=pytestconfig.rootpath)

    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_a_bad_start_says_why(pytestconfig):
    """A setting that cannot be stops the start with a sentence that names the variable."""
    done = _run(
        [sys.executable, "-m", "services.gateway"], cwd=pytestconfig.rootpath, env={"GATEWAY_CAPTION_URL": "caption"}
    )

    assert done.returncode == 3
    assert done.stderr == "GATEWAY_CAPTION_URL: must be http://host:port, or several of them with commas between\n"


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)
