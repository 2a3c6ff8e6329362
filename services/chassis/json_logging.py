"""Log lines as JSON, one object a line on stdout, for everything that the process says."""

import json
import logging
import sys
from datetime import UTC, datetime

from services.chassis.request_id import current_request_id


def configure_logging(service: str, level: str) -> None:
    """Sends all of the process's logging to stdout as JSON; the servers' own access logs are turned off."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False


class JSONFormatter(logging.Formatter):
    """`time`, `level`, `service`, `logger`, `message`, `request_id`; a record's `fields` are set beside them."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self.service,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
