"""Run as a program: `slow_build.py IMAGES INDEX [--pause S] [--free N --gate FILE] [--log FILE]`: a build with a fake
encoder, which sleeps for S seconds in each batch and, after N batches, waits until the gate is there.

The log gets a line when the encoder is loaded and one for each batch: how many pictures are in it.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from fake_encoder import FakeEncoder

from indexer.__main__ import main


class HeldEncoder(FakeEncoder):
    """Writes down what it does before it does it, so that the log is right also when it is killed next."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(pause=options.pause)
        self._free, self._gate = options.free, options.gate
        self._log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(self._log, b"0\n")

    def encode_pictures(self, inputs):
        os.write(self._log, f"{len(inputs)}\n".encode())
        if len(self.batches) == self._free:
            while not self._gate.exists():
                time.sleep(0.01)
        return super().encode_pictures(inputs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("index")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--free", type=int)
    parser.add_argument("--gate", type=Path)
    parser.add_argument("--log", default=os.devnull)
    options = parser.parse_args()
    build = ["build", "--images", options.images, "--index", options.index, "--json"]
    sys.exit(main(build, load=lambda _: HeldEncoder(options)))
