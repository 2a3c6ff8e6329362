"""GET /v1/images/{id} of pictures that are no files of a folder."""

import io
import tarfile
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from imagetext.index import PictureRow, picture_id


class Elsewhere:
    """Takes the album's pictures out of their folder and indexes them under other paths."""

    def __init__(self, album, encoder):
        self._album, self._encoder = album, encoder
        self.contents = {
            path.relative_to(album.images).as_posix(): path.read_bytes() for path in sorted(album.images.rglob("*.png"))
        }

    def index(self, prefix: str, address: Path | str) -> None:
        """Rows whose paths begin with `prefix`; the album's own files are gone afterwards."""
        row_of = self._album._row

        def row(number, path):
            fields = row_of(number, path)
            name = prefix + fields.path
            return PictureRow(
                number, picture_id(name), name, fields.sha256, fields.bytes, 7, fields.width, fields.height
            )

        self._album._row = row
        self._album.build(self._encoder, images_root=address)
        for name in self.contents:
            (self._album.images / name).unlink()

    def tar(self) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, content in self.contents.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return file.getvalue()


@pytest.fixture
def elsewhere(album, encoder):
    yield Elsewhere(album, encoder)
    store = fsspec.filesystem("memory")
    if store.exists("/pictures"):
        store.rm("/pictures", recursive=True)


async def replies(client, prefix, elsewhere):
    return [await client.get(f"/v1/images/{picture_id(prefix + name)}") for name in elsewhere.contents]


async def test_objects_of_a_store_are_shown(client_of, make_app, elsewhere):
    """Their bytes and their thumbnails; one that has gone is not found."""
    store = fsspec.filesystem("memory")
    for name, content in elsewhere.contents.items():
        store.pipe_file(f"/pictures/{name}", content)
    elsewhere.index("", "memory://pictures")
    async with client_of(make_app()) as client:
        shown = await replies(client, "", elsewhere)
        small = await client.get(f"/v1/images/{picture_id('blue.png')}/thumbnail?size=64")
        tag = shown[0].headers["ETag"]
        again = await client.get(
            f"/v1/images/{picture_id(next(iter(elsewhere.contents)))}", headers={"If-None-Match": tag}
        )
        store.rm("/pictures/blue.png")
        gone = await client.get(f"/v1/images/{picture_id('blue.png')}")

    assert [reply.content for reply in shown] == list(elsewhere.contents.values())
    assert Image.open(io.BytesIO(small.content)).size == (40, 30)
    assert (again.status_code, gone.status_code) == (304, 404)


@pytest.mark.parametrize("place", ["folder", "store"])
async def test_members_of_tar_files_are_shown(client_of, make_app, album, elsewhere, place):
    """From a folder and from a store; a tar file that lost its members has none."""
    if place == "store":
        fsspec.filesystem("memory").pipe_file("/pictures/s/0.tar", elsewhere.tar())
    else:
        (album.images.parent / "shards/s").mkdir(parents=True)
        (album.images.parent / "shards/s/0.tar").write_bytes(elsewhere.tar())
    elsewhere.index("s/0.tar/", "memory://pictures" if place == "store" else album.images.parent / "shards")
    async with client_of(make_app()) as client:
        shown = await replies(client, "s/0.tar/", elsewhere)
        unknown = await client.get(f"/v1/images/{picture_id('s/0.tar/none.png')}")

    assert [reply.content for reply in shown] == list(elsewhere.contents.values())
    assert unknown.status_code == 404


@pytest.mark.parametrize("content", [b"", b"no tar file at all" * 100])
async def test_a_tar_file_that_is_damaged_shows_nothing(client_of, make_app, album, elsewhere, content):
    """404, not 500."""
    (album.images.parent / "shards").mkdir()
    (album.images.parent / "shards/0.tar").write_bytes(content)
    elsewhere.index("0.tar/", album.images.parent / "shards")
    async with client_of(make_app()) as client:
        shown = await replies(client, "0.tar/", elsewhere)

    assert {reply.status_code for reply in shown} == {404}


async def test_rows_of_parquet_files_are_not_shown(client_of, make_app, album, elsewhere):
    """The problem says so."""
    elsewhere.index("p.parquet/", album.images)
    async with client_of(make_app()) as client:
        shown = await replies(client, "p.parquet/", elsewhere)

    assert {reply.status_code for reply in shown} == {404}
    assert "parquet" in shown[0].json()["detail"]
