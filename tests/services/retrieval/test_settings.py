"""What the environment may say to the retrieval service."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from imagetext.index.remote.location import MilvusAddress, StoreAddress
from services.chassis.serve import read_settings
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


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("some/folder", Path("some/folder")),
        ("s3://bucket/photos", StoreAddress("s3://bucket/photos")),
        ("milvus+http://host:19530/photos", MilvusAddress("http://host:19530", "photos")),
    ],
)
def test_index_is_a_folder_or_an_address(monkeypatch, said, meant):
    """As the environment says it."""
    monkeypatch.setenv("RETRIEVAL_INDEX", said)

    assert Settings().index == meant


def test_impossible_address_is_refused(monkeypatch, capsys):
    """With a sentence at the start."""
    monkeypatch.setenv("RETRIEVAL_INDEX", "milvus+http://host:19530")
    with pytest.raises(SystemExit):
        read_settings(Settings)

    assert capsys.readouterr().err.startswith(
        "RETRIEVAL_INDEX: The address of a Milvus must be milvus+http://HOST:PORT/"
    )
