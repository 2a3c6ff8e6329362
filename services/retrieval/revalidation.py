"""ETags and If-None-Match (RFC 9110): a browser that has a picture is told so instead of being sent it again."""

from starlette.requests import Request
from starlette.responses import Response

# A picture may be replaced under its id, so a copy is asked about again after a while; the answer is then a 304.
_CACHE_CONTROL = "public, max-age=300"


def caching_headers(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": _CACHE_CONTROL, "X-Content-Type-Options": "nosniff"}


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether the client says that it has the content of this tag."""
    sent = request.headers.get("If-None-Match", "")
    known = {each.strip().removeprefix("W/") for each in sent.split(",")}
    return f'"{tag}"' in known or "*" in known


def not_modified(tag: str) -> Response:
    return Response(status_code=304, headers=caching_headers(tag))
