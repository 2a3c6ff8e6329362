"""What /metrics counts."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.chassis.app import create_app
from services.chassis.observing import ModelMetrics


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
