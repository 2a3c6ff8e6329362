"""What tests/conftest.py says of tests that are slow."""

from pathlib import Path

from tests.conftest import SLOW, TOGETHER

HERE = Path(__file__).parent


def test_every_slow_test_exists() -> None:
    """A file that was renamed would be run by `make test-fast`."""
    assert [name for name in SLOW + TOGETHER if not (HERE / name).exists()] == []
