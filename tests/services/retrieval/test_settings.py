"""What the environment may say to the retrieval service."""

import pytest
from pydantic import ValidationError

from services.retrieval.settings import Settings


def test_defaults():
    """Without any setting the service runs our own encoder on its own port."""
    settings = Settings()

    assert (settings.port, settings.model, settings.images_root) == (8002, "models/retrieval", None)


@pytest.mark.parametrize("bad", [{"model": ""}, {"port": -1}, {"poll_s": 0}, {"max_batch": -1}, {"search_threads": 0}])
def test_bad_values_are_refused(bad):
    """A value that cannot work is an error at the start."""
    with pytest.raises(ValidationError):
        Settings(**bad)
