"""Names of files in sentences for people.

Numbers as people write and read them on the command line.
"""

import re
from argparse import ArgumentTypeError


def printable(text: str) -> str:
    """`text` with everything escaped that could upset a terminal: controls, line breaks, undecodable bytes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


_UNITS = {"": 1, "b": 1} | {
    f"{letter}{rest}": base**power
    for power, letter in enumerate("kmgt", start=1)
    for rest, base in (("", 1000), ("b", 1000), ("ib", 1024))
}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def positive(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def to_bytes(text: str) -> int:
    """4GB, 500 MB, 1.5GiB or plain bytes. Raises ArgumentTypeError."""
    written = _WRITTEN.fullmatch(text)
    if written is None or written[2].lower() not in _UNITS:
        raise ArgumentTypeError(f"{text!r} is no number of bytes like 500MB or 4GB")
    return int(float(written[1]) * _UNITS[written[2].lower()])


def shown_bytes(number: float) -> str:
    """With three digits and a decimal unit: 524 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"
