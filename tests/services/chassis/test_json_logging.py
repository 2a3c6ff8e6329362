"""Log lines as JSON."""

import json
import logging
import subprocess
import sys
from pathlib import Path

from services.chassis.serve import JSONFormatter
from tests.patience import PATIENCE


def _line(message: str, *args: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("indexing", logging.WARNING, __file__, 1, message, args, None)
    record.__dict__.update(extra)
    return json.loads(JSONFormatter("shop").format(record))


def test_line_has_the_fixed_keys():
    """A line says when, how bad, which service, who and what."""
    line = _line("%d pictures", 3)

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "service": "shop",
        "logger": "indexing",
        "message": "3 pictures",
        "request_id": None,
    }


def test_fields_stand_beside_the_message():
    """Extra fields are keys of their own, and values of any type are printed."""
    line = _line("request", fields={"status": 200, "path": {1}})

    assert (line["status"], line["path"]) == (200, "{1}")


def test_line_breaks_stay_inside():
    """A message with a line break is still one line."""
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "two\nlines \ud800", (), None)

    assert "\n" not in JSONFormatter("shop").format(record).encode().decode()


def test_traceback_is_in_the_line():
    """An exception's traceback is one field."""
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    line = json.loads(JSONFormatter("shop").format(record))

    assert "ValueError: odd" in line["exception"]


_PROCESS = """
import logging, logging.config
from uvicorn.config import LOGGING_CONFIG
from services.chassis.serve import configure_logging
logging.config.dictConfig(LOGGING_CONFIG)
configure_logging("shop", "INFO")
logging.getLogger("uvicorn.access").info("GET /")
logging.getLogger("uvicorn.error").info("started")
logging.getLogger("indexing").debug("too much")
logging.getLogger("indexing").info("done")
"""


def test_the_servers_own_logging_is_replaced():
    """Whatever uvicorn had set up, its lines are JSON on stdout as all others, and its access log is silent."""
    root = Path(__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, "-c", _PROCESS], cwd=root, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]

    assert [(line["logger"], line["message"]) for line in lines] == [("uvicorn.error", "started"), ("indexing", "done")]
    assert ended.stderr == ""
