"""`build --watch` of a folder with the fake encoder, as a process that can be interrupted."""

import sys

from indexer.__main__ import main
from tests.indexer.fake_encoder import FakeEncoder

if __name__ == "__main__":
    arguments = ["build", "--images", sys.argv[1], "--index", sys.argv[2], "--watch", "--json"]
    sys.exit(main(arguments, load=lambda _: FakeEncoder()))
