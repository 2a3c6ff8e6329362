"""The bounded memory of thumbnails."""

from services.retrieval.picture_shelf import ByteCache


def test_what_was_asked_for_longest_ago_goes_first():
    """When the memory is full, the entry that nobody asked for makes room."""
    cache = ByteCache(10)
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    cache.get("a")
    cache.put("c", b"1234")

    assert [cache.get(key) for key in "abc"] == [b"1234", None, b"1234"]
    assert cache.held_bytes == 8


def test_entry_is_replaced():
    """A key that is put again counts once."""
    cache = ByteCache(10)
    cache.put("a", b"1234")
    cache.put("a", b"12345678")

    assert (cache.get("a"), cache.held_bytes) == (b"12345678", 8)


def test_what_is_larger_than_the_memory_is_not_kept():
    """One huge entry does not drive out all the others."""
    cache = ByteCache(10)
    cache.put("a", b"1234")
    cache.put("b", bytes(11))

    assert (cache.get("a"), cache.get("b")) == (b"1234", None)
