"""Who may change what everybody sees: whoever knows the operator's key."""

import secrets

from fastapi import Request

from imagetext.errors import Forbidden, Unauthorized


def require_operator(request: Request) -> None:
    """A dependency, for endpoints that change something.

    Raises:
        Forbidden: no key is set, so that nobody may.
        Unauthorized: the key is missing or wrong.
    """
    key: str | None = request.state.operator_key
    if key is None:
        raise Forbidden("This is switched off here. To allow it, start the gateway with GATEWAY_OPERATOR_KEY set.")
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    # As bytes, as HTTP carried them; in a time that tells nothing of how much of it is right.
    is_right = secrets.compare_digest(sent.strip().encode("latin-1"), key.encode())
    if scheme.lower() != "bearer" or not is_right:
        raise Unauthorized("The operator's key is missing or wrong. Send it as `Authorization: Bearer KEY`.")
