"""What the environment may say to the caption service."""

import pytest
from pydantic import ValidationError

from services.caption.settings import Settings


def test_defaults():
    """Without any setting the service runs our own captioner on its own port."""
    settings = Settings()

    assert (settings.port, settings.models) == (8001, ("models/caption-vit-bert", "models/caption-gru"))


def test_models_are_split_at_commas():
    """Several models are one value, separated by commas."""
    assert Settings(models=" a, b/c ,").models == ("a", "b/c")


@pytest.mark.parametrize(
    "bad",
    [
        {"models": ","},
        {"port": 70_000},
        {"queue_size": 15},
        {"deadline_s": 0},
        {"max_batch": -1},
        {"log_level": "LOUD"},
    ],
)
def test_bad_values_are_refused(bad):
    """A value that cannot work is an error at the start."""
    with pytest.raises(ValidationError):
        Settings(**bad)
