"""Run as a program: `slow_build.py IMAGES INDEX PAUSE [LOG]` builds with a fake encoder that sleeps in each batch.

LOG gets one line for each batch: how many pictures were in it.
"""

import os
import sys

from fake_encoder import FakeEncoder

from indexer.__main__ import main


class LoggingEncoder(FakeEncoder):
    """Writes down what it did, also when it is killed next."""

    def __init__(self, pause: float, log: str = os.devnull) -> None:
        super().__init__(pause=pause)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def encode_pictures(self, inputs):
        os.write(self._log, f"{len(inputs)}\n".encode())
        return super().encode_pictures(inputs)


if __name__ == "__main__":
    images, index, pause, *log = sys.argv[1:]
    sys.exit(
        main(
            ["build", "--images", images, "--index", index, "--json"],
            load=lambda _: LoggingEncoder(float(pause), *log),
        )
    )
