"""Say once where the page is, when all is ready; then wait, because honcho ends when one of its processes does."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request

PATIENCE_S = 300


def ready(address: str) -> str | None:
    """None when everything is ready, else a sentence about what is not."""
    try:
        with urllib.request.urlopen(f"{address}/health/ready", timeout=5):
            return None
    except urllib.error.HTTPError as error:
        parts = json.load(error).get("parts", {})
        return "; ".join(f"{name}: {reason}" for name, reason in parts.items())
    except OSError:
        return "the gateway does not answer yet"


def main() -> int:
    address = f"http://127.0.0.1:{os.environ.get('GATEWAY_PORT', '8080')}"
    deadline = time.monotonic() + PATIENCE_S
    while (missing := ready(address)) is not None:
        if time.monotonic() > deadline:
            sys.stderr.write(f"Not ready after {PATIENCE_S} seconds: {missing}\n")
            return 1
        time.sleep(0.2)
    sys.stdout.write(f"\n    Ready. Open {address} in a browser; Ctrl-C ends everything.\n\n")
    sys.stdout.flush()
    signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
