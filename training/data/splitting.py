"""Train, dev or test, told by a picture's content alone: no picture ever changes sides when others are added."""

from dataclasses import dataclass

from imagetext.errors import InvalidParameter


@dataclass(frozen=True)
class Shares:
    """Which share of the pictures is held back for each split, 0 to 1.

    Raises:
        InvalidParameter: a share is negative, or nothing is left to train on.
    """

    dev: float = 0.02
    test: float = 0.02

    def __post_init__(self) -> None:
        if self.dev < 0 or self.test < 0 or self.dev + self.test >= 1:
            raise InvalidParameter("The shares of dev and test must be at least 0 and together less than 1.")

    def split_of(self, sha256: str) -> str:
        """The split of the picture with this hash."""
        place = int(sha256[:13], 16) / 16**13
        if place < self.test:
            return "test"
        return "dev" if place < self.test + self.dev else "train"
