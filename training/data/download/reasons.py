"""Why an address gave no picture."""

from enum import Enum


class Reason(Enum):
    """Value: a name for reports, what it means, and whether another run may have more luck."""

    BAD_ADDRESS = "bad address", "not an http or https address", False
    PRIVATE = "private address", "the host lies in a private network", False
    UNKNOWN_HOST = "unknown host", "the host's name has no address", True
    UNREACHABLE = "unreachable", "no connection could be made", True
    BROKEN_OFF = "broken off", "the host broke off its answer", True
    TIMEOUT = "too slow", "the download took longer than it may", True
    BUSY = "busy", "the host had no time each time it was asked, or asks to wait too long", True
    HOST_GIVEN_UP = "host given up", "the host failed too often in a row and was asked no more", True
    SERVER_ERROR = "server error", "the host answers with a status from 500", True
    GONE = "gone", "the host answers with status 404 or 410", False
    REFUSED = "refused", "the host answers with another status below 500", False
    REDIRECTS = "too many redirects", "more redirects than are followed", False
    OPTED_OUT = "opted out", "the host asks in X-Robots-Tag not to use the picture", False
    TOO_LARGE = "too large", "more bytes or pixels than a picture may have", False
    NOT_A_PICTURE = "not a picture", "what lies there is in no picture format that is read", False
    DAMAGED = "damaged", "the picture cannot be decoded to its end", False
    TOO_SMALL = "too small", "the shorter side has too few pixels", False
    ELONGATED = "elongated", "one side is many times the other", False
    BLANK = "blank", "the whole picture has one colour", False
    UNEXPECTED = "unexpected", "something else went wrong; the journal has its name", True
    PLACEHOLDER = "placeholder", "the same file lies at many addresses: no picture of what they promise", False
    NEAR_DUPLICATE = "near-duplicate", "looks like an earlier picture", False

    def __init__(self, label: str, meaning: str, passing: bool) -> None:
        self.label = label
        self.meaning = meaning
        self.passing = passing

    @classmethod
    def named(cls, label: str) -> "Reason":
        return next(reason for reason in cls if reason.label == label)


class Lost(Exception):
    """An address that gave no picture; `detail` is a status or the like, for the journal.

    `wait_s` is how long the host wants to be left alone, `again` whether the same run may ask again.
    """

    def __init__(
        self, reason: Reason, detail: str = "", *, wait_s: float | None = None, again: bool | None = None
    ) -> None:
        super().__init__(f"{reason.label} {detail}".strip())
        self.reason = reason
        self.detail = detail
        self.wait_s = wait_s
        self.again = reason.passing if again is None else again
