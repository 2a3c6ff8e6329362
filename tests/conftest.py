"""Fixtures that every room may use, and what a test needs that not every machine has."""

import os
import signal
from pathlib import Path

import pytest

# Threads of torch and FAISS wait for each other by spinning. Beside other work, the one that is waited for does not run
# then, and a test of a second takes minutes. It must be said before either is imported, and holds for subprocesses.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-compose", action="store_true", help="also run the tests that need a Docker engine")
    parser.addoption("--run-ray", action="store_true", help="also kill a node of a Ray cluster of several nodes")


def pytest_configure() -> None:
    # A shell starts what runs in the background with Ctrl-C ignored, and all that is started from there ignores it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("compose") and not config.getoption("--run-compose"):
            item.add_marker(pytest.mark.skip(reason="needs a Docker engine: make compose-test"))
        if item.get_closest_marker("ray") and not config.getoption("--run-ray"):
            item.add_marker(pytest.mark.skip(reason="takes a minute: pytest --run-ray tests/indexer/distributed"))


def _data_folder(name: str) -> Path:
    folder = Path(os.environ.get("DATA", ROOT.parent / "shared" / "data" / "flickr8k")).parent / name
    if not folder.is_dir():
        pytest.skip(f"needs the data folder {name}: DATA=.../flickr8k make test")
    return folder


@pytest.fixture(scope="session")
def flickr8k() -> Path:
    """The folder of Flickr8k: 7000 pictures with their captions and lists."""
    return _data_folder("flickr8k")


@pytest.fixture(scope="session")
def metrics_golden() -> Path:
    """Captions of published models with the scores that the COCO toolkit gave them."""
    return _data_folder("metrics-golden")


@pytest.fixture(scope="session")
def models() -> Path:
    """The trained models that the repository carries."""
    return ROOT / "models"
