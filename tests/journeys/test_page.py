"""The page as the gateway serves it."""

import re

import pytest

from tests.journeys.conftest import System


@pytest.mark.parametrize("address", ["/", "/collection.html"])
def test_page_and_its_parts_are_served(system: System, address: str) -> None:
    """The page has a policy that forbids other origins, and every file that it or its modules name exists."""
    with system.client() as client:
        page = client.get(address)
        waiting = re.findall(r'(?:href|src)="((?:css|js)/[^"]+|favicon\.svg)"', page.text)
        served: set[str] = set()
        while waiting:
            part = waiting.pop()
            if part in served:
                continue
            answer = client.get(f"/{part}")
            assert answer.status_code == 200, part
            served.add(part)
            if part.endswith(".js"):
                waiting += [f"js/{name}" for name in re.findall(r'from "\./([^"]+)"', answer.text)]

    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert {"css/base.css", "js/api.js", "js/dom.js", "favicon.svg"} <= served


def test_every_service_reports_its_health(system: System) -> None:
    """Each service has liveness, readiness and metrics."""
    with system.client() as client:
        for address in (system.gateway, system.caption, system.retrieval):
            assert client.get(f"{address}/health/live").status_code == 200
            assert client.get(f"{address}/health/ready").json()["status"] == "ok"
            assert "http_request" in client.get(f"{address}/metrics").text
