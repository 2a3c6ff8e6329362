"""A build in a process of its own, which can be held, interrupted and killed."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.patience import PATIENCE, wait_until

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class BuildProcess:
    """Builds with a fake encoder; it takes `pause` seconds for a batch, and after `free` of them waits for `go_on`."""

    def __init__(self, images: Path, index: Path, free: int | None = None, pause: float = 0.0) -> None:
        folder = Path(tempfile.mkdtemp(prefix="build-", dir=index.parent))
        self._gate, self._log = folder / "gate", folder / "log"
        command = [sys.executable, str(HERE / "slow_build.py"), str(images), str(index), "--pause", str(pause)]
        command += ["--gate", str(self._gate), "--log", str(self._log)]
        command += [] if free is None else ["--free", str(free)]
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def batches(self) -> list[int] | None:
        """How many pictures were in each batch that was begun; None: the encoder is not loaded yet."""
        lines = self._log.read_text().split() if self._log.exists() else []
        return [int(line) for line in lines[1:]] if lines else None

    def wait_for_encoder(self) -> None:
        """Until the work begins, or the process has ended without."""
        wait_until(lambda: self.batches() is not None or self.has_ended())

    def wait_for_batches(self, number: int) -> None:
        """Until so many have begun."""
        wait_until(lambda: len(self.batches() or ()) >= number or self.has_ended())
        assert not self.has_ended(), self.end()

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def go_on(self) -> None:
        self._gate.touch()

    def seconds(self) -> float:
        """How long the work of a build takes here and now."""
        self.wait_for_encoder()
        began = time.monotonic()
        status, _, complaint = self.end()
        assert status == 0, complaint
        return time.monotonic() - began

    def end(self) -> tuple[int, str, str]:
        """The exit status of a process that ends by itself, and what it said on both streams."""
        output, complaint = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, complaint

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
