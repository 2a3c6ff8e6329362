"""Run as a program: builds with a fake encoder on a local Ray cluster of several nodes, and may kill one on the way.

`cluster_build.py IMAGES INDEX LOG NODES [KILL_AFTER]`. LOG gets a line for each batch: the node it was encoded on. A
node that encodes is killed after KILL_AFTER batches. Prints the summary as JSON.
"""

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import ray
from ray.cluster_utils import Cluster

from indexer.build import build
from indexer.distributed.on_ray import OnRay
from indexer.sources import open_source
from tests.indexer.fake_encoder import FakeEncoder


class NodeEncoder(FakeEncoder):
    """Writes down where it encodes."""

    def __init__(self, log: str, pause: float) -> None:
        super().__init__(pause=pause)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def encode_pictures(self, inputs) -> np.ndarray:
        os.write(self._log, f"{ray.get_runtime_context().get_node_id()}\n".encode())
        return super().encode_pictures(inputs)


class Opening:
    """Opens the encoder on a node."""

    def __init__(self, log: str, pause: float) -> None:
        self._arguments = log, pause

    def __call__(self) -> NodeEncoder:
        return NodeEncoder(*self._arguments)


def kill_later(cluster: Cluster, nodes: list, log: Path, batches: int) -> None:
    """Without a farewell, and only a node that has work."""
    while not log.exists() or len(log.read_text().split()) < batches:
        time.sleep(0.02)
    at_work = log.read_text().split()[-1]
    (victim,) = [node for node in nodes if node.node_id == at_work]
    cluster.remove_node(victim, allow_graceful=False)
    sys.stderr.write(f"killed {at_work}\n")


def main(images: str, index: str, log: str, nodes: int, kill_after: int | None) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100_000_000})
    try:
        workers = [cluster.add_node(num_cpus=2, object_store_memory=100_000_000) for _ in range(nodes)]
        ray.init(cluster.address, log_to_driver=False)
        if kill_after is not None:
            arguments = cluster, workers, Path(log), kill_after
            threading.Thread(target=kill_later, args=arguments, daemon=True).start()
        source = open_source(images)
        summary = build(source, Path(index), FakeEncoder(), encode=OnRay(Path(index), Opening(log, 0.8)))
    finally:
        ray.shutdown()
        cluster.shutdown()
    sys.stdout.write(summary.to_json() + "\n")  # the last line: Ray prints what it has to say of lost nodes before


if __name__ == "__main__":
    images, index, log, nodes, *kill_after = sys.argv[1:]
    main(images, index, log, int(nodes), int(kill_after[0]) if kill_after else None)
