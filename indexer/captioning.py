"""Captions from our captioner for the pictures that have none, kept in the work file as the vectors are."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.errors import ImageTextError
from imagetext.index import PictureRow
from imagetext.index.texts import clean_captions
from imagetext.pictures import open_picture, read_picture_file
from indexer.encode import THREADS
from indexer.work import WorkFile

if TYPE_CHECKING:
    from imagetext.captioner.engine import Captioner

BATCH = 16  # pictures that are captioned at once
COMMIT_BATCHES = 4  # work that a kill may cost

log = logging.getLogger(__name__)


def caption_rows(
    rows: Sequence[PictureRow], root: Path, captioner: "Captioner | None", work: WorkFile
) -> list[PictureRow]:
    """The rows, those without captions with one from the captioner; equal files are captioned once.

    A picture that fails stays without, and so does one whose file is not there or has another content: a picture that
    was replaced through the API has the old one's file in the folder.
    """
    if captioner is None:
        return list(rows)
    bare = {row.sha256: row for row in rows if not row.captions}
    known = work.captions(captioner.fingerprint)
    missing = [row for sha256, row in bare.items() if sha256 not in known]
    try:
        with tqdm(total=len(missing), unit="caption", disable=None) as bar:
            for number, batch in enumerate(_batches(missing, root, captioner), 1):
                for row, caption in _caption(batch, captioner):
                    known[row.sha256] = clean_captions([caption])
                    work.add_captions(captioner.fingerprint, row.sha256, known[row.sha256])
                if number % COMMIT_BATCHES == 0:
                    work.commit()
                bar.update(len(batch))
    finally:
        work.commit()
    return [row if row.captions else replace(row, captions=known.get(row.sha256, ())) for row in rows]


Ready = tuple[PictureRow, NDArray[Any]]


def _batches(rows: Sequence[PictureRow], root: Path, captioner: "Captioner") -> Iterator[list[Ready]]:
    """Read and decoded in threads, one batch ahead of the captioner."""
    with ThreadPoolExecutor(THREADS, "read") as pool:
        groups = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        ahead = [pool.submit(_read, row, root, captioner) for row in (groups[0] if groups else ())]
        for following in [*groups[1:], []]:
            waiting, ahead = ahead, [pool.submit(_read, row, root, captioner) for row in following]
            yield [ready for future in waiting if (ready := future.result()) is not None]


def _read(row: PictureRow, root: Path, captioner: "Captioner") -> Ready | None:
    try:
        content = read_picture_file(root / row.path)
        if hashlib.sha256(content).hexdigest() != row.sha256:
            return None
        return row, captioner.prepare(open_picture(content, target=captioner.decoded_side))
    except ImageTextError:
        return None
    except Exception:  # whatever a model raises over one picture must not cost the others
        log.debug("preparing %r failed", row.path, exc_info=True)
        return None


def _caption(batch: Sequence[Ready], captioner: "Captioner") -> list[tuple[PictureRow, str]]:
    """Row and caption; a picture that the model fails on is left out."""
    from imagetext.captioner.engine import DecodingOptions  # imports torch: only with a captioner

    if not batch:
        return []
    try:
        captions = captioner.caption([np.asarray(ready) for _, ready in batch], DecodingOptions())
    except Exception:  # as above
        if len(batch) == 1:
            log.debug("captioning %r failed", batch[0][0].path, exc_info=True)
            return []
        return [pair for one in batch for pair in _caption([one], captioner)]
    return [(row, best[0].text) for (row, _), best in zip(batch, captions, strict=True)]
