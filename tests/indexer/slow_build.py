"""Run as a program: `slow_build.py IMAGES INDEX PAUSE` builds with a fake encoder that sleeps in each batch."""

import sys

from fake_encoder import FakeEncoder

from indexer.__main__ import main

if __name__ == "__main__":
    images, index, pause = sys.argv[1:]
    sys.exit(
        main(["build", "--images", images, "--index", index, "--json"], load=lambda _: FakeEncoder(pause=float(pause)))
    )
