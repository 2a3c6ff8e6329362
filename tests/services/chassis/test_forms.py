"""Reading uploads."""

from collections.abc import AsyncIterator

import pytest

from services.chassis.picture_requests import decode_base64_picture


async def _upload(client_of, app, **form) -> tuple[int, dict[str, object]]:
    async with client_of(app) as client:
        reply = await client.post("/upload", **form)
        return reply.status_code, reply.json()


async def test_pictures_and_options_are_told_apart(client_of, app):
    """Files in `image` are pictures, in order; text fields are options."""
    files = [("image", ("a", b"first")), ("image", ("b", b"second"))]

    assert await _upload(client_of, app, files=files, data={"k": "3"}) == (
        200,
        {"pictures": ["first", "second"], "options": {"k": "3"}},
    )


async def test_content_type_may_be_written_in_capitals(client_of, app):
    """Media types know no case."""
    body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nfirst\r\n--x--\r\n'
    status, reply = await _upload(
        client_of, app, content=body, headers={"Content-Type": "Multipart/Form-Data; boundary=x"}
    )

    assert (status, reply["pictures"]) == (200, ["first"])


@pytest.mark.parametrize(
    "form",
    [
        {"content": b"hello"},
        {"json": {"image": "x"}},
        {"data": {"k": "1"}, "files": {"other": ("a", b"x")}},
        {"files": [("image", ("a", b"x"))] * 3},
        {"files": [("image", ("a", b""))] * 4},
        {"files": [("image", (None, b"text"))]},
        {"files": [("image", ("a", b"x"))], "data": {"k": ["1", "2"]}},
    ],
)
async def test_forms_that_do_not_fit_are_refused(client_of, app, form):
    """Other bodies, other fields, too many pictures and doubled options are a 422."""
    status, reply = await _upload(client_of, app, **form)

    assert (status, reply["title"]) == (422, "Invalid parameter")


async def test_pictures_arrive_as_they_were_sent(client_of, app):
    """A picture that holds the boundary's beginning and comes in pieces of any length is whole."""
    picture = b"\r\n--" + b"--x\r\n-\r" * 50
    head = b'--xyz\r\ncontent-DISPOSITION: form-data; name="image"; filename="a"\r\nX-Other: 1\r\n\r\n'
    body = head + picture + b"\r\n--xyz--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=xyz"}
    for length in (1, 7, 64):

        async def pieces(length: int = length) -> AsyncIterator[bytes]:
            for start in range(0, len(body), length):
                yield body[start : start + length]

        assert await _upload(client_of, app, content=pieces(), headers=headers) == (
            200,
            {"pictures": [picture.decode()], "options": {}},
        )


@pytest.mark.parametrize(
    "disposition", [b'form-data; filename="a"', b"form-data", b"", b'form-data; name="k"\r\nContent-Length: 5']
)
async def test_damaged_parts_are_refused(client_of, app, disposition):
    """A part without a name, and a form without a picture, are a 422."""
    part = b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\n1\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    assert (await _upload(client_of, app, content=part, headers=headers))[0] == 422


async def test_text_that_is_no_utf8_is_read(client_of, app):
    """Old browsers send options in Latin-1."""
    files = [("image", ("a", b"x")), ("note", (None, "é".encode("latin-1")))]
    status, reply = await _upload(client_of, app, files=files)

    assert (status, reply["options"]) == (200, {"note": "é"})


async def test_text_in_the_place_of_a_file_is_told(client_of, app):
    """A form that sends `image` as text, as a script without a file name does, is told so."""
    _, reply = await _upload(client_of, app, files=[("image", (None, b"bytes"))])

    assert reply["detail"] == "Field `image` must be a file, with a file name."


async def test_reading_stops_at_one_picture_too_many(client_of, app):
    """A form of many more pictures than are taken is given up while it is read, not collected first."""
    _, one_more = await _upload(client_of, app, files=[("image", ("a", b"x"))] * 3)
    _, many_more = await _upload(client_of, app, files=[("image", ("a", b"x"))] * 4)

    assert one_more["detail"] == "Send 1 to 2 pictures in the field `image`."
    assert many_more["detail"].startswith("The form cannot be read")


def test_base64_may_be_broken_into_lines():
    """What `base64` prints can be pasted as it is."""
    assert decode_base64_picture("aGVs\nbG8=\n") == b"hello"
