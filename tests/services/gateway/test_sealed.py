"""What is cached is told from what is not ours."""

import pytest

from services.gateway.keys import sealed, unsealed


@pytest.mark.parametrize("content", [b"x", b"{}", bytes(range(256)) * 100])
def test_what_was_sealed_comes_back(content):
    """Any bytes but none come back as they were."""
    assert unsealed(sealed(content)) == content


@pytest.mark.parametrize("value", [None, b"", b"abc", b"{}", b'{"index": 7}', b"\0\0\0\0", sealed(b"")])
def test_other_bytes_are_nothing(value):
    """Nothing, too little, and what was never sealed are a miss."""
    assert unsealed(value) is None


def test_damage_is_noticed():
    """A changed, lost or added byte is a miss."""
    value = sealed(b'{"index": {"version": "v1"}}')

    assert unsealed(value[:-1]) is None
    assert unsealed(value + b" ") is None
    assert unsealed(value.replace(b"v1", b"v2")) is None
