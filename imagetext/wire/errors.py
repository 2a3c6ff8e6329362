"""Every error that a caller may see, as one tree; each class carries its HTTP status and its title.

ImageTextError                 500
├── InvalidPicture             400  a picture, but damaged or not decodable
├── Unauthorized               401  the operator's key is missing or wrong
├── Forbidden                  403  nobody may do this here
├── NotFound                   404  no such picture, page or model
├── CannotPublish              409  an index version that must not become the current one
├── TooLarge                   413  too many bytes or too many pixels
├── NotAPicture                415  not a picture, or not a format that is read here
├── InvalidParameter           422  a field or option with an impossible value
├── Busy                       429  the queue is full; carries Retry-After
├── Unavailable                503  a part is not ready or has gone; carries Retry-After
├── DeadlineExceeded           504  the answer would come too late
├── IndexFull                  507  no room for more pictures until the indexer has run, or on the disk
├── ModelError                 500  a model folder that cannot be loaded
└── IndexVersionError          500  an index version that is damaged or belongs to another encoder

The message is written for the person who meets it: it says what was wrong with what they sent and never
quotes another exception's text.
"""


class ImageTextError(Exception):
    """Base of all; `detail` is safe to show to anybody."""

    status = 500
    title = "Internal error"
    retry_after: int | None = None  # seconds

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidPicture(ImageTextError):
    status = 400
    title = "Damaged picture"


class Unauthorized(ImageTextError):
    status = 401
    title = "Key needed"


class Forbidden(ImageTextError):
    status = 403
    title = "Not allowed"


class NotFound(ImageTextError):
    status = 404
    title = "Not found"


class CannotPublish(ImageTextError):
    status = 409
    title = "Version cannot be published"


class TooLarge(ImageTextError):
    status = 413
    title = "Too large"


class NotAPicture(ImageTextError):
    status = 415
    title = "Not a picture"


class InvalidParameter(ImageTextError):
    status = 422
    title = "Invalid parameter"


class _Temporary(ImageTextError):
    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Busy(_Temporary):
    status = 429
    title = "Too many requests"


class Unavailable(_Temporary):
    status = 503
    title = "Not available"


class DeadlineExceeded(ImageTextError):
    status = 504
    title = "Deadline exceeded"


class IndexFull(ImageTextError):
    status = 507
    title = "Index is full"


class ModelError(ImageTextError):
    title = "Model cannot be loaded"


class IndexVersionError(ImageTextError):
    title = "Index version cannot be used"
