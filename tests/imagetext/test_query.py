"""What a request is searched with."""

import pytest

from imagetext.wire.errors import InvalidParameter
from imagetext.wire.query import Part, parse, parts_of, parts_with_picture
from imagetext.wire.search import MAX_QUERY_PARTS, ImageSearchOptions, QueryPart, SearchRequest


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("beach", "beach", []),
        ("beach -people", "beach", ["people"]),
        ("  beach \n -people ", "beach", ["people"]),
        ("-people beach", "beach", ["people"]),
        ("beach -people sunset -dogs", "beach sunset", ["people", "dogs"]),
        ('beach -"red umbrella" sunset', "beach sunset", ["red umbrella"]),
        ('beach -"5 people"', "beach", ["5 people"]),
        ("beach -people, sunset", "beach sunset", ["people"]),
        ("beach -Menschenmenge -été", "beach", ["Menschenmenge", "été"]),
        ("a black-and-white dog", "a black-and-white dog", []),
        ("beach -black-and-white", "beach", ["black-and-white"]),
        ("dogs - cats", "dogs - cats", []),
        ("dogs -- cats", "dogs -- cats", []),
        ("dogs --cats", "dogs --cats", []),
        ("a thermometer at -5 degrees", "a thermometer at -5 degrees", []),
        ('"rock -paper" scissors', "rock -paper scissors", []),
        ('a sign that says "stop"', 'a sign that says "stop"', []),
        ('beach -"people', 'beach -"people', []),
        ('beach -""', 'beach -""', []),
        ('beach -" "', "beach", []),
        ("-people", "", ["people"]),
        ("-", "-", []),
    ],
)
def test_a_minus_says_what_is_unwanted(text, wanted, unwanted):
    """It counts before a word or a quoted phrase that stands alone, and nowhere else."""
    assert parse(text) == (wanted, unwanted)


def test_the_simple_forms_go_together():
    """Text, an id and a picture are parts of weight 1; unwanted words have weight -1."""
    request = SearchRequest(
        text="beach  -people", like="a1", image="aGk=", parts=[QueryPart(text="sun -set", weight=2)]
    )

    assert parts_of(request) == [
        Part("text", "beach", 1.0),
        Part("text", "people", -1.0),
        Part("like", "a1", 1.0),
        Part("image", "aGk=", 1.0),
        Part("text", "sun -set", 2.0),
    ]


def test_words_go_with_a_picture():
    """What a form says beside its picture is parsed as in JSON, and may be all unwanted."""
    options = ImageSearchOptions(text="-people", like="a1")

    assert parts_with_picture(b"file", options) == [
        Part("image", b"file", 1.0),
        Part("text", "people", -1.0),
        Part("like", "a1", 1.0),
    ]
    assert parts_with_picture(b"file", ImageSearchOptions()) == [Part("image", b"file", 1.0)]


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (SearchRequest(), "`parts`"),
        (SearchRequest(text=" "), "`text`"),
        (SearchRequest(text="-people"), "unwanted"),
        (SearchRequest(parts=[QueryPart(like="a1", weight=-1)]), "unwanted"),
        (SearchRequest(text="dog", parts=[QueryPart()]), "`parts`"),
        (SearchRequest(parts=[QueryPart(text="dog", like="a1")]), "`parts`"),
        (SearchRequest(parts=[QueryPart(text="dog", weight=0)]), "`weight`"),
        (SearchRequest(parts=[QueryPart(text="\n")]), "`text`"),
        (SearchRequest(text="dog" + " -cat" * MAX_QUERY_PARTS), "16 parts"),
    ],
)
def test_impossible_queries(request_, named):
    """Nothing to search with, nothing wanted, two things in one part or too many parts: the reason is said."""
    with pytest.raises(InvalidParameter, match=named):
        parts_of(request_)
