"""Replies to searches, changed without being read."""

import json

import pytest

from imagetext.wire.index import IndexRef
from imagetext.wire.search import Hit, SearchReply
from services.gateway.searches import with_time, without_time


def reply(path: str = "a.jpg") -> SearchReply:
    hit = Hit(id="0", path=path, score=0.5, relevance=0.5, url="u", thumbnail_url="t", width=4, height=3)
    return SearchReply(index=IndexRef(version="v1", size=1), results=[hit], took_ms=12.3)


@pytest.mark.parametrize("path", ["a.jpg", '"took_ms":1}', "ä", "took_ms"])
def test_only_the_time_changes(path):
    """A reply with another time is the same but for `took_ms`, whatever the names of its pictures."""
    changed = with_time(without_time(reply(path).model_dump_json().encode()), 0.0456)

    assert SearchReply.model_validate_json(changed) == reply(path).model_copy(update={"took_ms": 45.6})


def test_replies_may_be_written_with_spaces():
    """The way that somebody writes JSON does not matter."""
    changed = with_time(without_time(json.dumps(reply().model_dump(), indent=2).encode() + b"\n"), 2)

    assert SearchReply.model_validate_json(changed).took_ms == 2_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"hello":1}',
        b'"took_ms":1}',
        b'{"took_ms":1',
        b'{"took_ms":}',
        b'{"took_ms":"1"}',
        b'{"took_ms":1,"results":[]}',
        b'{"results":[{"took_ms":1}]}',
        b"<html></html>",
    ],
)
def test_what_is_no_reply(content):
    """Anything else is refused."""
    with pytest.raises(ValueError):
        without_time(content)
