"""GET /v1/images/{id} and its thumbnail."""

import asyncio
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from imagetext.index import EncoderRef, PictureRow, picture_id, publish, write_version
from imagetext.index.rows import unknown_content


def _opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


async def test_picture_is_sent_as_it_is(client_of, app, album):
    """The file's own bytes come with their type, length, hash and leave to be cached."""
    content = (album.images / "b/red.png").read_bytes()
    async with client_of(app) as client:
        reply = await client.get(f"/v1/images/{picture_id('b/red.png')}")

    assert reply.content == content
    assert reply.headers["Content-Type"] == "image/png"
    assert reply.headers["Content-Length"] == str(len(content))
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age" in reply.headers["Cache-Control"]
    assert len(reply.headers["ETag"]) == 66


async def test_large_picture_is_streamed_whole(client_of, make_app, album, encoder):
    """A file of several chunks arrives complete."""
    Image.effect_noise((1_000, 1_000), 99).save(album.images / "noise.png")
    album.build(encoder)
    async with client_of(make_app()) as client:
        reply = await client.get(f"/v1/images/{picture_id('noise.png')}")

    assert reply.content == (album.images / "noise.png").read_bytes()
    assert len(reply.content) > 600_000


@pytest.mark.parametrize("address", ["/v1/images/{}", "/v1/images/{}/thumbnail", "/v1/images/{}/thumbnail?size=64"])
async def test_unchanged_picture_is_not_sent_again(client_of, app, address):
    """If-None-Match with the picture's tag, weak or in a list, or with *, is answered by an empty 304."""
    address = address.format(picture_id("blue.png"))
    async with client_of(app) as client:
        tag = (await client.get(address)).headers["ETag"]
        known = [await client.get(address, headers={"If-None-Match": sent}) for sent in (tag, f'"x", W/{tag}', "*")]
        other = await client.get(address, headers={"If-None-Match": '"x"'})

    assert [(reply.status_code, reply.content, reply.headers["ETag"]) for reply in known] == [(304, b"", tag)] * 3
    assert other.status_code == 200


async def test_changed_file_has_another_tag(client_of, app, album):
    """A file that was replaced since it was indexed is sent, but not under the hash of the old one."""
    address = f"/v1/images/{picture_id('blue.png')}"
    async with client_of(app) as client:
        before, small_before = await client.get(address), await client.get(f"{address}/thumbnail")
        album.add("blue.png", "yellow", (50, 50))
        after = await client.get(address, headers={"If-None-Match": before.headers["ETag"]})
        small_after = await client.get(f"{address}/thumbnail", headers={"If-None-Match": small_before.headers["ETag"]})

    assert (after.status_code, small_after.status_code) == (200, 200)
    assert after.content == (album.images / "blue.png").read_bytes()
    assert _opened(small_after.content).size == (50, 50)


async def test_changed_files_of_the_same_size_and_time_are_told_apart(client_of, app, album):
    """Two files that were replaced by others of one size and one time keep their own thumbnails and tags."""
    replies = []
    for name, colour in (("blue.png", "red"), ("green.png", "yellow")):
        album.add(name, colour, (50, 50), "BMP")
        os.utime(album.images / name, ns=(1, 1))
    async with client_of(app) as client:
        for name in ("blue.png", "green.png"):
            replies.append(await client.get(f"/v1/images/{picture_id(name)}/thumbnail"))

    assert replies[0].content != replies[1].content
    assert replies[0].headers["ETag"] != replies[1].headers["ETag"]


async def test_thumbnail_fits_the_square(client_of, make_app, album, encoder):
    """A thumbnail is a JPEG of at most `size` pixels, 320 if not said, and never larger than the picture."""
    id = album.add("wide.png", "red", (1_000, 500))
    album.build(encoder)
    async with client_of(make_app()) as client:
        sizes = [_opened((await client.get(f"/v1/images/{id}/thumbnail{q}")).content).size for q in ("", "?size=64")]
        small = await client.get(f"/v1/images/{picture_id('blue.png')}/thumbnail")

    assert sizes == [(320, 160), (64, 32)]
    assert (_opened(small.content).format, _opened(small.content).size) == ("JPEG", (40, 30))
    assert small.headers["Content-Type"] == "image/jpeg"


async def test_thumbnail_is_upright(client_of, make_app, album, encoder):
    """A photo that its camera marked as turned is turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    id = album.add("turned.jpg", "red", (80, 40), "JPEG", exif=exif)
    album.build(encoder)
    async with client_of(make_app()) as client:
        reply = await client.get(f"/v1/images/{id}/thumbnail")

    assert _opened(reply.content).size == (40, 80)


async def test_thumbnail_is_made_once(client_of, app, album):
    """A thumbnail that was made before is not made again: here it no longer could be."""
    file = album.images / "blue.png"
    address = f"/v1/images/{picture_id('blue.png')}/thumbnail"
    async with client_of(app) as client:
        first = await client.get(address)
        damage(file)
        again, other = await client.get(address), await client.get(f"{address}?size=64")

    assert (again.status_code, again.content, other.status_code) == (200, first.content, 404)


async def test_the_thumbnail_that_was_asked_for_longest_ago_is_forgotten(client_of, make_app, album, encoder):
    """The cache has room for two thumbnails; one that is larger than the cache pushes none out."""
    Image.effect_noise((400, 400), 99).save(album.images / "noise.png")
    album.build(encoder)
    ids = {name: picture_id(f"{name}.png") for name in ("blue", "green", "yellow", "noise")}
    async with client_of(make_app()) as client:
        sizes = {name: len((await client.get(f"/v1/images/{id}/thumbnail")).content) for name, id in ids.items()}
    small = max(size for name, size in sizes.items() if name != "noise")
    assert sizes["noise"] > 2 * small

    async with client_of(make_app(thumbnail_cache_bytes=2 * small)) as client:
        for name in ("blue", "green", "blue", "yellow", "noise"):
            assert (await client.get(f"/v1/images/{ids[name]}/thumbnail")).status_code == 200
        for name in ids:
            damage(album.images / f"{name}.png")
        after = {name: (await client.get(f"/v1/images/{id}/thumbnail")).status_code for name, id in ids.items()}

    assert after == {"blue": 200, "green": 404, "yellow": 200, "noise": 404}


def damage(file: Path) -> None:
    """Make a picture undecodable, with the same size and times."""
    times, content = (file.stat().st_atime_ns, file.stat().st_mtime_ns), file.read_bytes()
    file.write_bytes(content[:30] + bytes(len(content) - 30))
    os.utime(file, ns=times)


async def test_too_many_thumbnails_at_once(client_of, make_app, album, encoder):
    """Beyond `max_decodes` thumbnails that wait to be made, one more is a 429 with Retry-After."""
    Image.effect_noise((2_000, 2_000), 99).save(album.images / "noise.png")
    album.build(encoder)
    address = f"/v1/images/{picture_id('noise.png')}/thumbnail?size="
    async with client_of(make_app(max_decodes=1)) as client:
        replies = await asyncio.gather(*(client.get(f"{address}{size}") for size in range(64, 72)))
    refused = [reply for reply in replies if reply.status_code == 429]

    assert {reply.status_code for reply in replies} == {200, 429}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in refused)


@pytest.mark.parametrize("size", ["63", "1025", "big", "-1"])
async def test_bad_size_is_named(client_of, app, size):
    """A size out of range is a 422 that names it."""
    async with client_of(app) as client:
        reply = await client.get(f"/v1/images/{picture_id('blue.png')}/thumbnail?size={size}")

    assert (reply.status_code, "`size`" in reply.json()["detail"]) == (422, True)


async def test_format_that_browsers_do_not_show_becomes_a_jpeg(client_of, make_app, album, encoder):
    """A TIFF is sent as a JPEG of the same size."""
    id = album.add("scan.tif", "green", (70, 50), "TIFF")
    album.build(encoder)
    async with client_of(make_app()) as client:
        reply = await client.get(f"/v1/images/{id}")
        again = await client.get(f"/v1/images/{id}", headers={"If-None-Match": reply.headers["ETag"]})

    assert reply.headers["Content-Type"] == "image/jpeg"
    assert (_opened(reply.content).format, _opened(reply.content).size) == ("JPEG", (70, 50))
    assert again.status_code == 304


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP", "BMP", "AVIF"])
async def test_type_comes_from_the_content(client_of, make_app, album, encoder, kind):
    """A file with a wrong suffix is sent with the type of what is in it."""
    id = album.add("misnamed.png", "green", (70, 50), kind)
    album.build(encoder)
    async with client_of(make_app()) as client:
        reply = await client.get(f"/v1/images/{id}")

    assert reply.headers["Content-Type"] == f"image/{kind.lower()}"


@pytest.mark.parametrize("id", ["0" * 16, "blue.png", "..%2F..%2Fsecret", "%00", "%ff"])
async def test_unknown_id_is_not_found(client_of, app, id):
    """An id that no indexed picture has is a 404, whatever it looks like."""
    async with client_of(app) as client:
        replies = [await client.get(f"/v1/images/{id}"), await client.get(f"/v1/images/{id}/thumbnail")]

    assert [reply.status_code for reply in replies] == [404, 404]


def _remove(path) -> None:
    path.unlink()


def _make_text(path) -> None:
    path.write_text("<script>alert(1)</script>")


def _make_folder(path) -> None:
    path.unlink()
    path.mkdir()


def _make_pipe(path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link_outside(path) -> None:
    outside = path.parent.parent / "outside.png"
    path.rename(outside)
    path.symlink_to(outside)


def _link_in_a_circle(path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("spoil", [_remove, _make_text, _make_folder, _make_pipe, _link_outside, _link_in_a_circle])
async def test_file_that_is_gone_is_not_found(client_of, app, album, spoil):
    """A file that vanished, is no picture any more, or leads out of the indexed folder, is a 404."""
    spoil(album.images / "blue.png")
    address = f"/v1/images/{picture_id('blue.png')}"
    async with client_of(app) as client:
        replies = [await client.get(address), await client.get(f"{address}/thumbnail")]

    assert [reply.status_code for reply in replies] == [404, 404]


@pytest.mark.parametrize("inside", ["", "0.tar/", "0.parquet/"])
async def test_picture_that_was_imported_without_its_file(client_of, make_app, album, encoder, inside):
    """It is found, and what is known of where it came from stands in the problem; other columns do not."""
    rows = [
        PictureRow(row, picture_id(path), path, unknown_content(picture_id(path)), 0, 0, 0, 0)
        for row, path in enumerate([f"{inside}a.png", f"{inside}b.png", f"{inside}c.png"])
    ]
    made_by = EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions)
    carried = [(0, {"url": "https://example.org/a.png", "caption": "one"}), (1, {"url": "file:///secret"})]
    vectors = encoder.encode_texts(["red", "blue", "green"])
    version = write_version(album.index, rows, vectors, encoder=made_by, images_root=album.images, carried=carried)
    publish(album.index, version)
    async with client_of(make_app()) as client:
        found = (await client.post("/v1/search", json={"text": "red", "k": 1})).json()["results"]
        replies = [await client.get(f"/v1/images/{row.id}") for row in rows]
        small = await client.get(found[0]["thumbnail_url"])

    assert [hit["path"] for hit in found] == [f"{inside}a.png"]
    assert [reply.status_code for reply in [*replies, small]] == [404] * 4
    without = "The picture was imported without its file."
    assert [reply.json()["detail"] for reply in replies] == [
        f"{without} It came from https://example.org/a.png",
        without,
        without,
    ]


async def test_thumbnail_of_a_file_that_was_cut_is_not_found(client_of, app, album):
    """A picture that can no longer be decoded has no thumbnail."""
    file = album.images / "blue.png"
    file.write_bytes(file.read_bytes()[:40])
    async with client_of(app) as client:
        reply = await client.get(f"/v1/images/{picture_id('blue.png')}/thumbnail")

    assert reply.status_code == 404


async def test_thumbnail_of_a_picture_that_is_too_large_is_not_found(client_of, make_app, album, encoder):
    """A picture over this service's limits has no thumbnail; it is not the caller who sent too much."""
    album.build(encoder)
    async with client_of(make_app(max_picture_pixels=1_000)) as client:
        reply = await client.get(f"/v1/images/{picture_id('blue.png')}/thumbnail")

    assert reply.status_code == 404


async def test_link_inside_the_folder_is_followed(client_of, app, album):
    """A link to another place in the indexed folder is as good as the file."""
    file = album.images / "blue.png"
    file.rename(album.images / "b/moved.png")
    file.symlink_to(album.images / "b/moved.png")
    async with client_of(app) as client:
        reply = await client.get(f"/v1/images/{picture_id('blue.png')}")

    assert reply.status_code == 200


async def test_indexed_folder_may_lie_elsewhere(client_of, make_app, album, encoder, tmp_path):
    """The setting `images_root` stands for the folder of which the manifest speaks."""
    album.build(encoder, images_root=tmp_path / "on-another-machine")
    address = f"/v1/images/{picture_id('b/red.png')}"
    async with client_of(make_app()) as client:
        missing = await client.get(address)
    async with client_of(make_app(images_root=album.images)) as client:
        found = await client.get(address)

    assert (missing.status_code, found.status_code) == (404, 200)


async def test_name_that_is_not_unicode(client_of, make_app, album, encoder):
    """A file name of other bytes is found by its id, and shown with a sign in place of them."""
    name = os.fsdecode(b"caf\xe9.png")
    id = album.add(name, "grey")
    album.build(encoder)
    async with client_of(make_app()) as client:
        hits = (await client.post("/v1/search", json={"text": "grey", "k": 1})).json()["results"]
        reply = await client.get(f"/v1/images/{id}")

    assert [hit["path"] for hit in hits] == ["caf�.png"]
    assert reply.content == (album.images / name).read_bytes()


async def test_files_are_closed(client_of, app):
    """Answers of every kind leave no file open."""
    address = f"/v1/images/{picture_id('blue.png')}"
    async with client_of(app) as client:
        tags = [(await client.get(each)).headers["ETag"] for each in (address, f"{address}/thumbnail")]
        before = len(os.listdir("/proc/self/fd"))
        for each, tag in zip((address, f"{address}/thumbnail"), tags, strict=True):
            await client.get(each)
            await client.get(each, headers={"If-None-Match": tag})

        assert len(os.listdir("/proc/self/fd")) == before
