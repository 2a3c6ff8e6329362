"""What builds and imports share when they write an index: the lock, the progress in build.json, words to tune on."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imagetext.files import locked
from imagetext.index.kinds import FLAT, IndexOptions, plans
from imagetext.index.versions import BUILD_LOCK, now, remove_progress, write_progress
from imagetext.wire.errors import Busy, ImageTextError
from imagetext.wire.index import BuildProgress, BuildStage

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

KEPT_VERSIONS = 3

_WAIT_S = 1.0  # readers of the progress test the lock by holding it for a moment

_EVERY_S = 0.5
_WINDOW_S = 20.0  # the rate is that of the last seconds: a resumed build begins with pictures that cost nothing

_WHO = (
    *("a dog", "two children", "a man in a red shirt", "an old woman", "a group of people", "a cat", "a cyclist"),
    *("a horse", "a bird", "flowers", "a car", "a plate of food"),
)
_WHERE = ("", "on the beach", "in the snow", "in a city street at night", "indoors", "beside water", "in a green field")


@contextmanager
def build_lock(index: Path) -> Iterator[None]:
    """Hold the index during a build; the system releases it even if the process is killed.

    Raises:
        Busy: another build holds it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(index / BUILD_LOCK, wait=_WAIT_S))
        except BlockingIOError as error:
            raise Busy("Another build is running on this index; wait until it has ended.") from error
        yield


@contextmanager
def reported(index: Path) -> Iterator["Progress"]:
    """The progress of a build that holds the index's lock.

    A build that succeeds removes it, one that fails leaves its error, and one that is killed leaves it as it was.
    """
    progress = Progress(index)
    progress.stage("preparing")
    try:
        yield progress
    except ImageTextError as error:
        progress.stop(error.detail)
        raise
    except KeyboardInterrupt:
        progress.stop("It was interrupted. Run the same command again to continue.")
        raise
    except Exception:
        progress.stop("It failed; see the output of the indexer.")
        raise
    remove_progress(index)


class Progress:
    """Written at most twice a second, and when a stage begins. For one thread."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._started = now()
        self._stage: BuildStage = "preparing"
        self._done = 0
        self._total: int | None = None
        self._written_at = 0.0
        self._samples: deque[tuple[float, int]] = deque()

    def stage(self, name: BuildStage, *, done: int = 0, total: int | None = None) -> None:
        """A stage begins; `done` of its `total` pictures cost nothing."""
        self._stage, self._done, self._total = name, done, total
        self._samples.clear()
        self._write(time.monotonic())

    def advance(self, pictures: int) -> None:
        self._done += pictures
        moment = time.monotonic()
        if moment - self._written_at >= _EVERY_S:
            self._write(moment)

    def stop(self, sentence: str) -> None:
        """The build ends without a version, for this reason."""
        self._write(time.monotonic(), error=sentence)

    def _write(self, moment: float, error: str | None = None) -> None:
        self._written_at = moment
        rate = self._rate(moment)
        left = None if self._total is None else self._total - self._done
        write_progress(
            self._index,
            BuildProgress(
                stage=self._stage,
                done=self._done,
                total=self._total,
                rate=rate and round(rate, 1),
                eta_s=round(left / rate, 1) if rate and left is not None else None,
                started=self._started,
                updated=now(),
                error=error,
            ),
        )

    def _rate(self, moment: float) -> float | None:
        """Pictures per second; None while there are none to measure it by."""
        self._samples.append((moment, self._done))
        while len(self._samples) > 2 and self._samples[0][0] < moment - _WINDOW_S:
            self._samples.popleft()
        since, before = self._samples[0]
        return (self._done - before) / (moment - since) if self._done > before and moment > since else None


def question_vectors(encoder: "Encoder", wanted: IndexOptions, size: int) -> NDArray[np.float32] | None:
    """Unit vectors (n, dimensions) of some dozens of typical searches, on which the index is tuned, because vectors of
    words are apart from those of pictures; None if exact search is chosen anyway.

    Raises:
        InvalidParameter: no kind of index fits into the memory.
    """
    if plans(wanted, size, encoder.dimensions)[0].kind == FLAT:
        return None
    return encoder.encode_texts([f"{who} {where}".strip() for who, where in product(_WHO, _WHERE)])
