"""Names of cached answers."""

from imagetext.contracts import CaptionOptions, IndexInfo, SearchRequest
from services.gateway.keys import caption_key, digest_of, picture_identity, search_key, words_identity


def test_caption_keys():
    """Picture, decoding and model each make another key; the name by which the model was asked does not."""
    options, other = CaptionOptions(), CaptionOptions(attention=True)
    keys = {
        caption_key(digest_of(picture), chosen, fingerprint)
        for picture in (b"a", b"b")
        for chosen in (options, other)
        for fingerprint in ("c1", "c2")
    }

    assert len(keys) == 8
    assert caption_key("d", CaptionOptions(model="gru"), "c1") == caption_key("d", options, "c1")


def test_search_keys():
    """Question, index version and encoder each make another key."""
    identities = [
        words_identity(SearchRequest(text="dog")),
        words_identity(SearchRequest(like="dog")),
        words_identity(SearchRequest(text="dog", k=3)),
        words_identity(SearchRequest(text="dog", hybrid=True)),
        words_identity(SearchRequest(text="dog", filter={"tags": ["a"]})),
        words_identity(SearchRequest(text="dog", filter={"taken": {"from": "2024"}})),
        words_identity(SearchRequest(text="dog", filter={"taken": {"to": "2024"}})),
        picture_identity(digest_of(b"dog"), 12, 0),
        picture_identity(digest_of(b"dog"), 3, 0),
        picture_identity(digest_of(b"dog"), 12, 3),
    ]
    indexes = [IndexInfo(version=v, size=1, fingerprint=f) for v in ("v1", "v2") for f in ("e1", "e2")]

    assert len({search_key(identity, index) for identity in identities for index in indexes}) == 40
    same = [SearchRequest(text="dog", filter={"tags": tags}) for tags in (["a", "b"], ["B", "a"])]
    assert words_identity(same[0]) == words_identity(same[1])


def test_keys_are_short():
    """A long query makes no long key."""
    identity = words_identity(SearchRequest(text="x" * 2_000))

    assert len(search_key(identity, IndexInfo(version="v1", size=1))) < 200
