"""Names of files in sentences for people."""


def printable(text: str) -> str:
    """`text` with everything escaped that could upset a terminal: controls, line breaks, undecodable bytes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
