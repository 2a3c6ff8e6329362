"""What `GET /v1/models` says of a model's networks."""

from collections.abc import Mapping

from imagetext.contracts import NetworkInfo
from imagetext.engines import Loaded


def network_infos(loaded: Mapping[str, Loaded]) -> dict[str, NetworkInfo]:
    """Networks by name, with their engines."""
    return {name: _info(network) for name, network in loaded.items()}


def _info(network: Loaded) -> NetworkInfo:
    alone = network.seconds.get(1)
    milliseconds = None if alone is None else round(alone * 1000, 3)
    return NetworkInfo(engine=network.engine, milliseconds=milliseconds, refused=dict(network.refused))
