"""A connection to Milvus: made when it is first used, its errors told as ours."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from imagetext.errors import ImageTextError, Unavailable
from imagetext.index.places import MilvusAddress

CALL_SECONDS = 5.0

log = logging.getLogger(__name__)

_UNREACHED = 2  # Milvus's own codes
_NOT_LOADED = 101


class MilvusConnection:
    """All threads may share it. `reached` turns what pymilvus raises into Unavailable."""

    def __init__(self, address: MilvusAddress, token: str = "") -> None:
        """Reaches nothing yet. `token` is an API key or USER:PASSWORD, empty where none is asked for."""
        self.address = address
        self._token = token

    @cached_property
    def client(self) -> Any:
        """pymilvus's own client. Only within `reached`."""
        import pymilvus

        # It would log each error with its traceback before it raises it.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        if "://" not in self.address.uri:
            Path(self.address.uri).parent.mkdir(parents=True, exist_ok=True)
        return pymilvus.MilvusClient(uri=self.address.uri, token=self._token, timeout=CALL_SECONDS)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Raises Unavailable instead of anything that is not ours."""
        try:
            yield
        except ImageTextError:
            raise
        except ImportError as error:
            raise Unavailable('Milvus needs more to be installed: pip install "imagetext[milvus]"') from error
        except Exception as error:  # pymilvus lets errors of gRPC through
            code = getattr(error, "code", _UNREACHED)
            away = code == _UNREACHED or callable(code)  # that of gRPC's own is a method
            if not away:
                log.warning("Milvus refuses: %s", error)
            why = "cannot be reached" if away else "does not do what it is asked for"
            raise Unavailable(f"The Milvus of this index {why}.", retry_after=5) from error


def has_code(error: Exception, *codes: int) -> bool:
    return getattr(error, "code", None) in codes


def is_not_loaded(error: Exception) -> bool:
    """After a new start, Milvus Lite has its collections on the disk alone."""
    return has_code(error, _NOT_LOADED)
