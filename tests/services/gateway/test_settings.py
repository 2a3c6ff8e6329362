"""The gateway's settings."""

import pytest
from pydantic import ValidationError

from services.gateway.settings import Settings


def test_several_base_addresses():
    """A variable may name several replicas with commas between."""
    settings = Settings(caption_url="http://a:1, https://b.example/ ,http://[::1]:3")

    assert settings.caption_url == ("http://a:1", "https://b.example", "http://[::1]:3")


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "caption:8001",
        "ftp://a",
        "http://",
        "http://a/b",
        "http://a?b",
        "http://a:b",
        "http://b:c@a",
        "http://[a",
    ],
)
def test_wrong_base_addresses(value):
    """What is not a base address is refused at the start."""
    with pytest.raises(ValidationError):
        Settings(caption_url=value)


@pytest.mark.parametrize(
    "values",
    [
        {"redis_url": "localhost:6379"},
        {"web_folder": "/no/such/folder"},
        {"deadline_s": 0},
        {"cache_ttl_s": 0},
        {"max_requests": 0},
        {"nonsense": 1},
    ],
)
def test_impossible_values(values):
    """A setting with an impossible value is refused at the start."""
    with pytest.raises(ValidationError):
        Settings.model_validate(values)
