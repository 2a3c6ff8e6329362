"""What nginx.conf promises, asked of a real nginx."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.patience import wait_until
from tests.services.web.conftest import WEB, EchoGateway

SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def test_the_page_and_its_parts_are_served(web: httpx.Client) -> None:
    """Every file that the page names comes with the type that a strict browser asks for."""
    page = web.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    parts = re.findall(r'(?:href|src)="((?:css|js)/[^"]+|favicon.svg)"', page.text)
    types = {"css": "text/css", "js": "javascript", "svg": "image/svg+xml"}

    assert len(parts) >= 7
    for part in parts:
        answer = web.get(f"/{part}")
        assert answer.status_code == 200, part
        assert types[part.rsplit(".")[-1]] in answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/", "/js/app.js", "/v1/index", "/nothing-here", "/v1/images/1"])
def test_every_answer_is_secured(web: httpx.Client, gateway: EchoGateway, path: str) -> None:
    """The policy and its companions are on every answer, once each, whatever the gateway says."""
    gateway.headers = {"Content-Security-Policy": "default-src *", "X-Content-Type-Options": "none"}
    answer = web.get(path)

    for name, value in SECURITY.items():
        assert answer.headers.get_list(name) == [value]
    [policy] = answer.headers.get_list("content-security-policy")
    assert "default-src 'self'; img-src 'self' blob: data:;" in policy
    assert "server" not in answer.headers or answer.headers["server"] == "nginx"


def test_files_are_asked_about_each_time(web: httpx.Client) -> None:
    """Names carry no version, so a browser has to ask, and mostly hears that nothing changed."""
    first = web.get("/css/base.css")
    again = web.get("/css/base.css", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert again.status_code == 304


def test_text_is_compressed(web: httpx.Client) -> None:
    """Style sheets, scripts and JSON answers travel compressed."""
    for path in ("/css/base.css", "/js/api.js"):
        assert web.get(path).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("path", ["/v1/search", "/v1/images/ab/thumbnail?size=320", "/health/ready", "/openapi.json"])
def test_the_api_is_on_the_same_origin(web: httpx.Client, path: str) -> None:
    """The gateway gets path and query as they came."""
    assert web.get(path).json()["path"] == path


@pytest.mark.parametrize("path", ["/metrics", "/v1", "/Dockerfile", "/nginx.conf", "/openapi.jsonx", "/../nginx.conf"])
def test_nothing_else_is_public(web: httpx.Client, path: str) -> None:
    """Metrics stay inside, and only the page's own files are served."""
    assert web.get(path).status_code == 404


def test_the_gateway_learns_who_asks(web: httpx.Client) -> None:
    """The caller's address is nginx's own observation, not what the caller claims."""
    heard = web.get("/v1/index", headers={"X-Forwarded-For": "203.0.113.9"}).json()["headers"]

    assert heard["x-forwarded-for"] == "127.0.0.1"
    assert heard["x-forwarded-proto"] == "http"
    assert heard["host"] == f"127.0.0.1:{web.base_url.port}"


@pytest.mark.parametrize(("sent", "is_kept"), [("a.b-C_9", True), ("x" * 64, True), ("x" * 65, False), ("a b", False)])
def test_request_ids_are_kept_if_they_are_sound(web: httpx.Client, sent: str, is_kept: bool) -> None:
    """A sound X-Request-ID reaches the gateway; any other is replaced by a new one."""
    heard = web.get("/v1/index", headers={"X-Request-ID": sent}).json()["headers"]["x-request-id"]

    assert (heard == sent) is is_kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", heard)


def test_answers_keep_the_request_id_of_the_gateway(web: httpx.Client, gateway: EchoGateway) -> None:
    """The header is there once, from whoever answered."""
    gateway.headers = {"X-Request-ID": "from-the-gateway"}
    assert web.get("/v1/index").headers.get_list("x-request-id") == ["from-the-gateway"]
    assert web.get("/", headers={"X-Request-ID": "mine"}).headers.get_list("x-request-id") == ["mine"]


def test_a_large_upload_passes(web: httpx.Client) -> None:
    """20 MB of picture and some form around it are let through."""
    assert web.post("/v1/captions", content=bytes(21_000_000)).json()["body"] == 21_000_000


def test_too_large_a_request_is_a_problem(web: httpx.Client) -> None:
    """Beyond the limit nginx itself answers, in the shape of all other errors."""
    answer = web.post("/v1/captions", content=bytes(27_300_000), headers={"X-Request-ID": "big"})

    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["status"] == 413
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "big"


def test_problems_of_the_gateway_come_through(web: httpx.Client, gateway: EchoGateway) -> None:
    """What the gateway answers is passed on untouched, its Retry-After too."""
    gateway.status, gateway.headers = 503, {"Retry-After": "7"}
    answer = web.get("/v1/search")

    assert answer.status_code == 503
    assert answer.json()["path"] == "/v1/search"
    assert answer.headers.get_list("retry-after") == ["7"]


def test_a_gateway_that_is_away_is_a_problem(web: httpx.Client, gateway: EchoGateway) -> None:
    """Without a gateway the page still comes, and the API answers 503 with the time to come back."""
    gateway.stop()
    answer = web.get("/v1/index")

    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers.get_list("retry-after") == ["2"]
    assert answer.json()["detail"] == "The service does not answer right now. Try again in a moment."
    assert web.get("/").status_code == 200


def test_the_log_is_json(web: httpx.Client, tmp_path: Path) -> None:
    """One line per request with its id, and without the query."""
    web.get("/v1/index?secret=1", headers={"X-Request-ID": "seen"})

    def logged() -> list[dict[str, object]]:
        # The last line may be half written; nginx writes it after the response.
        whole = (tmp_path / "access.log").read_text().rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["request_id"] == "seen"]

    wait_until(logged)
    [line] = logged()
    assert (line["path"], line["status"], line["method"]) == ("/v1/index", 200, "GET")


def test_the_image_needs_no_root() -> None:
    """The Dockerfile sets a numeric user, and nginx.conf listens where such a user may."""
    dockerfile = (WEB / "Dockerfile").read_text()
    conf = (WEB / "nginx.conf").read_text()

    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", dockerfile, re.MULTILINE)
    assert "listen 8080;" in conf
    assert not re.search(r"^\s*(user|daemon)\s", conf, re.MULTILINE)
    assert "resolver 127.0.0.11" in conf
