"""Waiting for a service that follows an index."""


def serves(client, version: str):
    async def condition() -> bool:
        reply = await client.get("/v1/index")
        return reply.status_code == 200 and reply.json()["version"] == version

    return condition


def ready(client, status: int = 200):
    async def condition() -> bool:
        return (await client.get("/health/ready")).status_code == status

    return condition


def metric(client, line: str):
    async def condition() -> bool:
        return line in (await client.get("/metrics")).text

    return condition
