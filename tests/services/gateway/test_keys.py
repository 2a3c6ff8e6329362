"""Names of cached answers."""

from imagetext.wire.captions import CaptionOptions, LabelOptions
from imagetext.wire.index import IndexInfo
from imagetext.wire.search import SearchOptions, SearchRequest
from services.gateway.cache import answer_key, digest_of, query_identity, search_key
from services.gateway.picture_answers import CAPTION, LABEL


def test_answer_keys():
    """Task, picture, options and model each make another key; the name by which the model was asked does not."""
    options, other = CaptionOptions(), CaptionOptions(attention=True)
    keys = {
        answer_key(task.name, fingerprint, digest_of(picture), task.identity(chosen))
        for task in (CAPTION, LABEL)
        for picture in (b"a", b"b")
        for chosen in (options, other)
        for fingerprint in ("c1", "c2")
    }

    assert len(keys) == 16
    assert CAPTION.identity(CaptionOptions(model="gru")) == CAPTION.identity(options)
    assert LABEL.identity(LabelOptions(labels=["cat"])) != LABEL.identity(LabelOptions())


def test_search_keys():
    """Question, index version and encoder each make another key."""
    words, like, picture = ("text", "dog", 1.0), ("like", "dog", 1.0), ("image", digest_of(b"dog"), 1.0)
    plain = SearchOptions()
    identities = [
        query_identity([words], plain),
        query_identity([like], plain),
        query_identity([words], SearchOptions(k=3)),
        query_identity([words], SearchOptions(min_relevance=0.5)),
        query_identity([words], SearchOptions(collapse_duplicates=True)),
        query_identity([words], SearchOptions(hybrid=True)),
        query_identity([words], SearchOptions(filter={"tags": ["a"]})),
        query_identity([words], SearchOptions(filter={"taken": {"from": "2024"}})),
        query_identity([words], SearchOptions(filter={"taken": {"to": "2024"}})),
        query_identity([picture], plain),
        query_identity([picture], SearchOptions(k=3)),
        query_identity([picture], SearchOptions(offset=3)),
        query_identity([words, picture], plain),
        query_identity([words, ("image", digest_of(b"dog"), 0.5)], plain),
        query_identity([words, ("image", digest_of(b"dog"), -1.0)], plain),
    ]
    indexes = [IndexInfo(version=v, size=1, fingerprint=f) for v in ("v1", "v2") for f in ("e1", "e2")]

    assert len({search_key(identity, index) for identity in identities for index in indexes}) == 60


def test_one_query_has_one_key():
    """Neither the order of the parts, nor a factor of all weights, nor a default that is said makes another query."""
    parts = [("text", "dog", 1.0), ("text", "cat", -0.5)]
    doubled = [("text", "cat", -1.0), ("text", "dog", 2.0)]

    same = [SearchOptions(filter={"tags": tags}) for tags in (["a", "b"], ["B", "a"])]
    assert query_identity(parts, same[0]) == query_identity(parts, same[1])
    assert query_identity(doubled, SearchRequest(k=12)) == query_identity(parts, SearchOptions())


def test_keys_are_short():
    """A long query makes no long key."""
    identity = query_identity([("text", "x" * 2_000, 1.0)], SearchOptions())

    assert len(search_key(identity, IndexInfo(version="v1", size=1))) < 200
