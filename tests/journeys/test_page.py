"""The page as the gateway serves it."""

from tests.journeys.conftest import System


def test_page_and_its_parts_are_served(system: System) -> None:
    """The page comes with a policy that allows nothing foreign, and everything it names exists."""
    with system.client() as client:
        page = client.get("/")
        names = [part.split('"')[0] for part in page.text.split('="')[1:]]
        parts = [name for name in names if name.endswith((".css", ".js", ".svg")) and "://" not in name]
        statuses = {part: client.get("/" + part.lstrip("./")).status_code for part in parts}

    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert parts
    assert set(statuses.values()) == {200}


def test_every_part_answers_for_its_health(system: System) -> None:
    """Live, ready and metrics are there on each service."""
    with system.client() as client:
        for address in (system.gateway, system.caption, system.retrieval):
            assert client.get(f"{address}/health/live").status_code == 200
            assert client.get(f"{address}/health/ready").json()["status"] == "ok"
            assert "http_request" in client.get(f"{address}/metrics").text
