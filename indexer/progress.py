"""Tells everybody who looks how far the build is, in the index's build.json."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagetext.index.versions import now, remove_progress, write_progress
from imagetext.wire.contracts import BuildProgress, BuildStage
from imagetext.wire.errors import ImageTextError

_EVERY_S = 0.5
_WINDOW_S = 20.0  # the rate is that of the last seconds: a build that goes on begins with what is known, at no cost


class Progress:
    """Written twice a second at most, and when a stage begins. Belongs to one thread."""

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
        """The build ends without a version, because of this."""
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
        """Pictures a second; None before there is one to tell it by."""
        self._samples.append((moment, self._done))
        while len(self._samples) > 2 and self._samples[0][0] < moment - _WINDOW_S:
            self._samples.popleft()
        since, before = self._samples[0]
        return (self._done - before) / (moment - since) if self._done > before and moment > since else None


@contextmanager
def reported(index: Path) -> Iterator[Progress]:
    """The progress of a build that holds the index's lock. A build that succeeds leaves nothing of it behind; one that
    fails leaves the sentence, and one that is killed the file as it was."""
    progress = Progress(index)
    progress.stage("preparing")
    try:
        yield progress
    except ImageTextError as error:
        progress.stop(error.detail)
        raise
    except KeyboardInterrupt:
        progress.stop("It was interrupted. The same command goes on from there.")
        raise
    except Exception:
        progress.stop("It failed; the indexer's own output says why.")
        raise
    remove_progress(index)
