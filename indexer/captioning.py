"""Captions by a captioner for pictures that have none, kept in the work file like the vectors."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.index import PictureRow
from imagetext.index.rows import clean_captions
from imagetext.pictures import open_picture
from imagetext.wire.errors import ImageTextError, Unavailable
from indexer.known import WorkFile
from indexer.reading import THREADS
from indexer.sources import FoundFile, Item, Listing

if TYPE_CHECKING:
    from imagetext.models.captioner.engine import Captioner

BATCH = 16  # pictures that are captioned at once
COMMIT_BATCHES = 4  # work that a kill may cost

log = logging.getLogger(__name__)

Ready = tuple[PictureRow, NDArray[Any]]


def caption_rows(
    rows: Sequence[PictureRow], listing: Listing, captioner: "Captioner | None", work: WorkFile
) -> list[PictureRow]:
    """The rows; those without captions get one by the captioner. Equal files are captioned once.

    A picture that fails gets none, and neither does one whose file has changed since it was read, or has another
    content: if it was replaced through the API, the old file is still in the folder.

    Raises:
        Unavailable: the place of the pictures does not answer.
    """
    if captioner is None:
        return list(rows)
    known = work.captions(captioner.fingerprint)
    missing = [row for row in rows if not row.captions and row.sha256 not in known]
    try:
        with tqdm(total=len({row.sha256 for row in missing}), unit="caption", disable=None) as bar:
            for number, batch in enumerate(_batches(_items(missing, listing), captioner), 1):
                for row, caption in _caption(batch, captioner):
                    known[row.sha256] = clean_captions([caption])
                    work.add_captions(captioner.fingerprint, row.sha256, known[row.sha256])
                if number % COMMIT_BATCHES == 0:
                    work.commit()
                bar.update(len(batch))
    finally:
        work.commit()
    return [row if row.captions else replace(row, captions=known.get(row.sha256, ())) for row in rows]


def _items(rows: Sequence[PictureRow], listing: Listing) -> Iterator[tuple[PictureRow, Item]]:
    """The items of the rows, the first of equal ones. Shards are read once more."""
    by_file = {FoundFile(row.path, row.bytes, row.mtime_ns): row for row in rows}
    begun = set[str]()
    for shard in listing.all() if rows else ():
        for item in shard.items(by_file.__contains__):
            if isinstance(item, Item) and item.read is not None and by_file[item.file].sha256 not in begun:
                begun.add(by_file[item.file].sha256)
                yield by_file[item.file], item


def _batches(items: Iterator[tuple[PictureRow, Item]], captioner: "Captioner") -> Iterator[list[Ready]]:
    """Read and decoded in threads, one batch ahead of the captioner."""
    with ThreadPoolExecutor(THREADS, "read") as pool:
        ahead = _submit(pool, islice(items, BATCH), captioner)
        while waiting := ahead:
            ahead = _submit(pool, islice(items, BATCH), captioner)
            yield [ready for future in waiting if (ready := future.result()) is not None]


def _submit(
    pool: ThreadPoolExecutor, items: Iterable[tuple[PictureRow, Item]], captioner: "Captioner"
) -> list[Future[Ready | None]]:
    return [pool.submit(_read, row, item, captioner) for row, item in items]


def _read(row: PictureRow, item: Item, captioner: "Captioner") -> Ready | None:
    assert item.read is not None
    try:
        content = item.read()
        if hashlib.sha256(content).hexdigest() != row.sha256:
            return None
        return row, captioner.prepare(open_picture(content, target=captioner.decoded_side))
    except Unavailable:  # says nothing about the picture
        raise
    except ImageTextError:
        return None
    except Exception:  # a model may raise anything for one picture; the others go on
        log.debug("preparing %r failed", row.path, exc_info=True)
        return None


def _caption(batch: Sequence[Ready], captioner: "Captioner") -> list[tuple[PictureRow, str]]:
    """Row and caption, without pictures that the model fails on."""
    from imagetext.models.captioner.engine import DecodingOptions  # heavy: only with a captioner

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
