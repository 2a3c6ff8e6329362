"""Ready means that both services are."""


async def test_ready(client):
    """With both services ready, so is the gateway."""
    response = await client.get("/health/ready")

    assert (response.status_code, response.json()) == (200, {"status": "ok", "parts": {}})


async def test_not_ready_before_the_first_answer(door, client_of):
    """A gateway that has heard of neither service is not ready."""
    door.network.machines.clear()
    async with client_of(door.app) as client:
        response = await client.get("/health/ready")

    assert response.status_code == 503
    assert response.json()["parts"].keys() == {"caption", "retrieval"}


async def test_a_service_says_why_it_is_not_ready(client, door, until):
    """The service's own words are the part's sentence; when it is ready again, so is the gateway."""
    door.retrieval.missing = {"index": "There is no index version yet."}

    async def is_status(status: int) -> bool:
        return (await client.get("/health/ready")).status_code == status

    await until(lambda: is_status(503))
    assert (await client.get("/health/ready")).json()["parts"] == {"retrieval": "There is no index version yet."}
    door.retrieval.missing = {}
    await until(lambda: is_status(200))


async def test_live_without_services(door, client_of):
    """The gateway is alive whatever its services are."""
    door.network.machines.clear()
    async with client_of(door.app) as client:
        assert (await client.get("/health/live")).status_code == 200


async def test_metrics(client):
    """Cache lookups are counted by kind and outcome."""
    for _ in range(3):
        await client.post("/v1/captions", files={"image": ("a.jpg", b"dog")})
    await client.post("/v1/search", json={"text": "dog"})
    lines = (await client.get("/metrics")).text.splitlines()

    assert 'gateway_cache_lookups_total{kind="caption",outcome="hit"} 2.0' in lines
    assert 'gateway_cache_lookups_total{kind="caption",outcome="miss"} 1.0' in lines
    assert 'gateway_cache_lookups_total{kind="search",outcome="miss"} 1.0' in lines
