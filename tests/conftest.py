"""Fixtures for all tests, what a test needs that not every machine has, and how tests are shared out to workers."""

import os
import signal
from pathlib import Path

import pytest

# Both are set before torch and FAISS are imported, and subprocesses inherit them.
# Threads of torch and FAISS wait for each other by spinning: beside other work the one that is waited for does not run,
# and a test of a second takes minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# The networks of tests are so small that a second thread costs more than it saves, and workers share the cores.
os.environ["OMP_NUM_THREADS"] = "1"

HERE = Path(__file__).parent
ROOT = HERE.parent
MOST_WORKERS = 4  # each takes up to 2 GB
# Slowest first: workers begin with these, so that none is left alone with a long file at the end. `--fast` leaves them
# out without importing them, and torch with them.
SLOW = (
    "training/test_runs.py",
    "journeys",
    "training/clip",
    "imagetext/test_exported.py",
    "imagetext/engines",
    "browser",
    "training",
    "bench",
    "imagetext/index/test_milvus.py",
    "services/test_without_torch.py",
    "services/retrieval/test_object_store.py",
    "services/retrieval/test_milvus.py",
    "imagetext/test_prepare.py",
    "imagetext/test_quantized.py",
    "imagetext/captioner",
    "imagetext/encoder",
    "gallery",
    "indexer/distributed",
    "indexer/test_interruption.py",
    "indexer/test_main.py",
    "indexer/test_merging.py",
    "indexer/test_watch.py",
    "indexer",
    "imagetext/index/test_journal.py",
    "imagetext/index/test_kinds.py",
    "imagetext/index/test_manifest.py",
    "imagetext/pictures/test_bombs.py",
    "services/gateway/test_imports.py",
    "services/gateway/test_fetch.py",
    "services/gateway/test_upstream.py",
    "services/caption/test_process.py",
    "test_imports.py",
    "test_architecture.py",
    "services/chassis/test_serve.py",
    "imagetext/test_backbone.py",
    "imagetext/test_efficientnet.py",
    "imagetext/test_memory.py",
    "imagetext/test_model_folder.py",
    "compose",
)
TOGETHER = ("journeys",)  # folders whose files share a slow start: one worker takes all of them


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out the slow tests: make test-fast")
    parser.addoption("--run-compose", action="store_true", help="also run the tests that need a Docker engine")
    parser.addoption("--run-ray", action="store_true", help="also kill a node of a Ray cluster of several nodes")


def pytest_configure() -> None:
    # A shell starts background jobs with Ctrl-C ignored, and so do all processes that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_left_out = config.getoption("--fast") and any(collection_path == HERE / name for name in SLOW)
    return True if is_left_out else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("compose") and not config.getoption("--run-compose"):
            item.add_marker(pytest.mark.skip(reason="needs a Docker engine: make compose-test"))
        if item.get_closest_marker("ray") and not config.getoption("--run-ray"):
            item.add_marker(pytest.mark.skip(reason="takes a minute: pytest --run-ray tests/indexer/distributed"))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: _slowness(item.path))


def _slowness(file: Path) -> int:
    """The place in SLOW of a test's file, or behind all of them."""
    return next((place for place, name in enumerate(SLOW) if file.is_relative_to(HERE / name)), len(SLOW))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: there is always a test that waits, for a browser, a process or a time limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, MOST_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A file's tests run in one worker, in their order."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((name for name in TOGETHER if file.startswith(f"tests/{name}/")), file)

    config.option.loadscopereorder = False  # the order is that of SLOW
    return Scheduling(config, log)


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
