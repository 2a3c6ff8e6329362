"""What a service's refusal means for our own caller."""

from pydantic import ValidationError

from imagetext.contracts import Problem
from imagetext.errors import (
    Busy,
    CannotPublish,
    DeadlineExceeded,
    ImageTextError,
    IndexFull,
    InvalidParameter,
    InvalidPicture,
    NotAPicture,
    NotFound,
    TooLarge,
    Unavailable,
)
from services.chassis.problems import MEDIA_TYPE
from services.gateway.incoming import Reply

_LASTING = (
    *(ImageTextError, InvalidPicture, NotFound, CannotPublish, TooLarge, NotAPicture, InvalidParameter),
    *(DeadlineExceeded, IndexFull),
)
_TEMPORARY = (Busy, Unavailable)
_MAX_RETRY_AFTER_S = 60


def error_of(reply: Reply, service: str) -> ImageTextError:
    """The error that a problem document stands for; Unavailable for an answer that no service of ours gives."""
    problem = _problem_of(reply)
    if problem is not None:
        for temporary in _TEMPORARY:
            if temporary.status == reply.status:
                return temporary(problem.detail, retry_after=_retry_after(reply))
        for lasting in _LASTING:
            if lasting.status == reply.status:
                return lasting(problem.detail)
    return Unavailable(f"The {service} service does not answer as it should.", retry_after=_retry_after(reply))


def _problem_of(reply: Reply) -> Problem | None:
    if not reply.is_of(MEDIA_TYPE):
        return None
    try:
        return Problem.model_validate_json(reply.content)
    except ValidationError:
        return None


def _retry_after(reply: Reply) -> int:
    value = reply.headers.get("Retry-After", "")
    return min(int(value), _MAX_RETRY_AFTER_S) if value.isascii() and value.isdigit() else 1
