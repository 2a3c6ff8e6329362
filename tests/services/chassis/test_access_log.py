"""One line for each request."""

import logging

import pytest


def _lines(caplog) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "services.chassis.observing"]


async def test_a_request_is_one_line(client_of, app, caplog):
    """The line has method, path, status, times and bytes."""
    caplog.set_level(logging.INFO)
    async with client_of(app) as client:
        await client.post("/raw", content=b"12345")
    (line,) = _lines(caplog)

    assert line.fields.pop("duration_ms") >= 0
    assert line.fields == {
        "method": "POST",
        "path": "/raw",
        "status": 200,
        "bytes_in": 5,
        "bytes_out": 1,
        "client": "127.0.0.1",
    }


@pytest.mark.parametrize(("path", "status"), [("/broken", 500), ("/nowhere", 404), ("/busy", 429)])
async def test_failures_are_logged_with_their_status(client_of, app, caplog, path, status):
    """A failed request has its line as well."""
    caplog.set_level(logging.INFO)
    async with client_of(app) as client:
        await client.get(path)

    assert [line.fields["status"] for line in _lines(caplog)] == [status]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
async def test_watchers_are_quiet(client_of, app, caplog, path):
    """Requests for health and metrics are logged at DEBUG only."""
    caplog.set_level(logging.DEBUG)
    async with client_of(app) as client:
        await client.get(path)

    assert [line.levelno for line in _lines(caplog)] == [logging.DEBUG]
