"""A bounded memory of bytes: what was asked for longest ago goes first."""

from collections import OrderedDict
from collections.abc import Hashable


class ByteCache:
    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._entries: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable) -> bytes | None:
        content = self._entries.get(key)
        if content is not None:
            self._entries.move_to_end(key)
        return content

    def put(self, key: Hashable, content: bytes) -> None:
        if len(content) > self.max_bytes:
            return
        self.held_bytes += len(content) - len(self._entries.pop(key, b""))
        self._entries[key] = content
        while self.held_bytes > self.max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.held_bytes -= len(oldest)
