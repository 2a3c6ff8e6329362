"""A real nginx with the shipped configuration; only ports, folders and the name of the gateway are the test's own."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.patience import PATIENCE, wait_until
from tests.ports import free_port

WEB = Path(__file__).parents[3] / "services" / "web"


class EchoGateway:
    """Answers every request with what it got; `status` and `headers` are what it says about the answer."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.port = int(self._server.server_address[1])

    def stop(self) -> None:
        """From now on nobody listens on its port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(gateway: EchoGateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            heard = {name.lower(): value for name, value in self.headers.items()}
            answer = json.dumps({"path": self.path, "headers": heard, "body": len(body)}).encode()
            self.send_response(gateway.status)
            for name, value in {"Content-Type": "application/json", **gateway.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: the tests read answers."""

    return Handler


@pytest.fixture
def gateway() -> Iterator[EchoGateway]:
    gateway = EchoGateway()
    yield gateway
    gateway.stop()


@pytest.fixture
def web(gateway: EchoGateway, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of nginx, which serves the page and has the echoing gateway behind it."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if binary is None:
        pytest.skip("the tests of nginx.conf need nginx: apt-get install nginx-light")
    port = free_port()
    conf = tmp_path / "nginx.conf"
    conf.write_text(_adapted(port, gateway.port, tmp_path))
    command = [binary, "-e", str(tmp_path / "error.log"), "-c", str(conf), "-g", "daemon off;"]
    process = subprocess.Popen(command)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
        _await_answer(client, process)
        yield client
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 0


def _adapted(port: int, gateway_port: int, folder: Path) -> str:
    text = (WEB / "nginx.conf").read_text()
    for ours, tests in {
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "http://gateway:8080": f"http://127.0.0.1:{gateway_port}",
        # Before the page's folder, which may itself lie below /tmp.
        " /tmp/": f" {folder}/",
        "/usr/share/nginx/html": str(WEB / "static"),
        "/dev/stdout": str(folder / "access.log"),
        "error_log stderr": f"error_log {folder}/error.log",
        "worker_processes auto;": "worker_processes 1;",
    }.items():
        assert ours in text
        text = text.replace(ours, tests)
    # Started by root, nginx would read the page as another user, who may not enter a private checkout.
    return f"user root;\n{text}" if os.geteuid() == 0 else text


def _await_answer(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        assert process.poll() is None, "nginx refused its configuration"
        try:
            return client.get("/").is_success
        except httpx.TransportError:
            return False

    wait_until(answers, lambda: "nginx did not answer")
