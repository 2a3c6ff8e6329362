"""Pictures that travel inside JSON."""

import base64
import binascii

from imagetext.errors import InvalidParameter


def decode_base64_picture(text: str) -> bytes:
    """The bytes of a picture in base64, line breaks allowed, or in a `data:` URI.

    Raises:
        InvalidParameter: neither of them.
    """
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise InvalidParameter("Field `image`: a data: URI must hold base64.")
    try:
        # Command line tools break base64 into lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters outside ASCII
        raise InvalidParameter("Field `image` is not valid base64.") from None
