"""What a service's refusal means for our own caller."""

import httpx
from pydantic import ValidationError

from imagetext.contracts import Problem
from imagetext.errors import (
    Busy,
    DeadlineExceeded,
    ImageTextError,
    InvalidParameter,
    InvalidPicture,
    NotAPicture,
    NotFound,
    TooLarge,
    Unavailable,
)
from services.chassis.problems import MEDIA_TYPE

_LASTING = (ImageTextError, InvalidPicture, NotFound, TooLarge, NotAPicture, InvalidParameter, DeadlineExceeded)
_TEMPORARY = (Busy, Unavailable)
_MAX_RETRY_AFTER_S = 60


def error_of(response: httpx.Response, service: str) -> ImageTextError:
    """The error that a problem document stands for; Unavailable for an answer that no service of ours gives."""
    problem = _problem_of(response)
    if problem is not None:
        for temporary in _TEMPORARY:
            if temporary.status == response.status_code:
                return temporary(problem.detail, retry_after=_retry_after(response))
        for lasting in _LASTING:
            if lasting.status == response.status_code:
                return lasting(problem.detail)
    return Unavailable(f"The {service} service does not answer as it should.", retry_after=_retry_after(response))


def _problem_of(response: httpx.Response) -> Problem | None:
    if not response.headers.get("Content-Type", "").startswith(MEDIA_TYPE):
        return None
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        return None


def _retry_after(response: httpx.Response) -> int:
    value = response.headers.get("Retry-After", "")
    return min(int(value), _MAX_RETRY_AFTER_S) if value.isascii() and value.isdigit() else 1
