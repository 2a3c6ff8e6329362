"""Ports for servers that a test starts as processes."""

import os
import socket
from itertools import count

# Below those that the system gives to whoever asks for any: between the choice of a port and the start of its server
# nobody else gets it. Each worker of pytest-xdist has a thousand to itself.
_FIRST = 20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_next = count(os.getpid() % 900)


def free_port() -> int:
    """A port of this machine that nobody listens on, another one with every call."""
    port = _FIRST + next(_next) % 1_000
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port
