"""What is observed of each request: its id, its log line, its metrics."""

import logging

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.chassis.app import create_app
from services.chassis.observing import ModelMetrics, current_request_id


async def test_good_id_is_taken_over_and_returned(client_of, app):
    """A caller's well-formed id is the one that the handler sees and the reply carries."""
    async with client_of(app) as client:
        reply = await client.get("/id", headers={"X-Request-ID": "trip.42_a-b"})

    assert (reply.text, reply.headers.get_list("X-Request-ID")) == ("trip.42_a-b", ["trip.42_a-b"])


@pytest.mark.parametrize("sent", ["", "a" * 65, "two words", "semi;colon", "ü".encode()])
async def test_bad_id_is_replaced(client_of, app, sent):
    """An id that is empty, too long or of other characters is replaced by a new one."""
    async with client_of(app) as client:
        reply = await client.get("/id", headers={"X-Request-ID": sent})

    assert len(reply.text) == 32
    assert reply.headers["X-Request-ID"] == reply.text


async def test_each_request_has_its_own(client_of, app):
    """Without an id from the caller every request gets a new one."""
    async with client_of(app) as client:
        first, second = await client.get("/id"), await client.get("/id")

    assert first.text != second.text


async def test_failed_requests_carry_it_too(client_of, app):
    """Even a 500 and a 413 have the id in the header and in the problem."""
    async with client_of(app) as client:
        broken = await client.get("/broken", headers={"X-Request-ID": "x1"})
        refused = await client.post("/raw", content=b"a" * 2_000, headers={"X-Request-ID": "x2"})

    assert (broken.headers["X-Request-ID"], broken.json()["request_id"]) == ("x1", "x1")
    assert (refused.headers["X-Request-ID"], refused.json()["request_id"]) == ("x2", "x2")


async def test_it_ends_with_its_request(client_of, app):
    """After a request, code in the same context sees no id."""
    async with client_of(app) as client:
        await client.get("/id")

    assert current_request_id() is None


def test_there_is_none_outside_a_request():
    """Code that runs outside a request sees no id."""
    assert current_request_id() is None


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


async def _counts(client) -> dict[tuple[str, str], float]:
    page = (await client.get("/metrics")).text
    return {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "http_requests_total"
    }


async def test_requests_are_counted_by_template_and_status(client_of, app):
    """Two items are one series; a bad one, an unknown address and a refused body have their own."""
    async with client_of(app) as client:
        for path in ("/items/1", "/items/2", "/items/x", "/nowhere/1", "/nowhere/2", "/broken"):
            await client.get(path)
        await client.post("/raw", content=b"x" * 2_000)
        counts = await _counts(client)

    assert counts == {
        ("/items/{item}", "200"): 2,
        ("/items/{item}", "422"): 1,
        ("unmatched", "404"): 2,
        ("/broken", "500"): 1,
        ("unmatched", "413"): 1,
    }


async def test_durations_are_measured_by_route(client_of, app):
    """Every route has a histogram of its durations."""
    async with client_of(app) as client:
        await client.get("/items/1")
        page = (await client.get("/metrics")).text

    assert 'http_request_duration_seconds_count{route="/items/{item}"} 1.0' in page


async def test_each_application_counts_for_itself(client_of, app, shop):
    """A second application in the same process starts at nothing."""
    other = create_app("other", lifespan=shop.lifespan, ready=dict, max_body_bytes=1, routers=[])
    async with client_of(app) as client:
        await client.get("/items/1")
    async with client_of(other) as client:
        assert await _counts(client) == {}


def test_model_metrics_show_queue_and_batches():
    """A model's queue is read when the page is asked for; its batches are counted by size and time."""
    registry, waiting = CollectorRegistry(), [1, 2, 3]
    metrics = ModelMetrics(registry)
    metrics.watch(lambda: len(waiting))
    metrics.observe(4, 0.2)
    waiting.pop()
    page = generate_latest(registry).decode()

    assert "model_queue_items 2.0" in page
    assert 'model_batch_items_bucket{le="2.0"} 0.0' in page
    assert 'model_batch_items_bucket{le="4.0"} 1.0' in page
    assert "model_batch_seconds_sum 0.2" in page
