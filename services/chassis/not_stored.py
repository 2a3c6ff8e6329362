"""For answers that are old in a second."""

from fastapi import Response


def not_stored(response: Response) -> None:
    """A dependency: no cache on the way keeps the answer."""
    response.headers["Cache-Control"] = "no-store"
