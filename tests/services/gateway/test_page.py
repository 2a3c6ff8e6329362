"""The page, where the gateway serves it."""

import re

import pytest

from services.gateway.app import SECURITY_HEADERS


@pytest.fixture
def web_folder(tmp_path, door):
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "index.html").write_text("<h1>Pictures</h1>")
    (folder / "page.js").write_text("start()")
    (tmp_path / "secret.txt").write_text("secret")
    door.settings["web_folder"] = folder
    return folder


async def test_index(web_folder, client):
    """The folder's index.html is the page at /."""
    response = await client.get("/")

    assert response.status_code == 200
    assert response.text == "<h1>Pictures</h1>"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_security_headers(web_folder, client):
    """Pages run their own scripts only, cannot be framed, and send no referrer."""
    headers = (await client.get("/page.js")).headers

    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["img-src"] == "'self' blob: data:"
    assert (policy["object-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_both_doors_are_equally_safe(pytestconfig):
    """The web server of the containers sends the same security headers."""
    configuration = (pytestconfig.rootpath / "services/web/nginx.conf").read_text()
    lines = re.findall(r"^ {8}add_header (\S+) (.+) always;$", configuration, re.MULTILINE)
    sent = {name: value.strip('"') for name, value in lines if not value.startswith("$")}

    assert sent == SECURITY_HEADERS


async def test_page_is_revalidated(web_folder, client):
    """A browser asks each time, and an unchanged file costs a 304."""
    first = await client.get("/page.js")
    second = await client.get("/page.js", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == second.headers["Cache-Control"] == "no-cache"
    assert second.status_code == 304


@pytest.mark.parametrize(
    "path", ["/nothing.js", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "//etc/passwd", "/%00", "/" + "x" * 5_000]
)
async def test_nothing_outside_the_folder(web_folder, client, path):
    """What is not in the folder is a problem document with 404."""
    response = await client.get(path)

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


async def test_api_comes_first(web_folder, client):
    """The page hides no part of the API: wrong methods are a 405, unknown calls a 404."""
    assert (await client.get("/v1/models")).status_code == 200
    assert (await client.get("/v1/captions")).status_code == 405
    assert (await client.post("/v1/caption")).status_code == 404
    assert (await client.post("/index.html")).status_code == 405


async def test_no_page_without_a_folder(client):
    """Where another server has the page, / is a 404 here."""
    assert (await client.get("/")).status_code == 404
