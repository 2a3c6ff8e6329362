"""How a version is held open while it is used."""

import asyncio
import threading

import pytest
from prometheus_client import CollectorRegistry

from imagetext.index import publish
from imagetext.wire.errors import IndexVersionError, Unavailable
from services.retrieval.current_index import CurrentIndex, IndexMetrics
from tests.patience import PATIENCE


@pytest.fixture
def current(album) -> CurrentIndex:
    return CurrentIndex(album.index, poll_s=60, threads=2, metrics=IndexMetrics(CollectorRegistry()))


async def test_version_stays_open_while_a_thread_reads_it(current, album, encoder):
    """A swap closes the old version only when the last work on it is done, even if its caller has gone."""
    album.build(encoder)
    await current.start(encoder.fingerprint)
    began, go_on, found = threading.Event(), threading.Event(), []

    def read(reader) -> None:
        began.set()
        assert go_on.wait(PATIENCE)
        found.append((reader.info.size, reader.row(0).path, reader))

    caller = asyncio.create_task(current.use(read))
    assert await asyncio.to_thread(began.wait, PATIENCE)
    album.add("more.png", "grey")
    album.build(encoder)
    await current.refresh()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert await current.use(lambda reader: reader.info.size) == 5
    go_on.set()
    await current.stop()
    ((size, path, reader),) = found

    assert (size, path) == (4, "b/red.png")
    with pytest.raises(Unavailable):
        await current.use(lambda reader: reader)
    with pytest.raises(IndexVersionError):
        reader.row(0)  # closed by now


async def test_small_indexes_are_searched_at_once(current, album, encoder):
    """Work on a small index waits for no thread, not even when all of them are busy."""
    album.build(encoder)
    await current.start(encoder.fingerprint)
    go_on = threading.Event()
    busy = [asyncio.create_task(current.use(lambda _: go_on.wait(PATIENCE))) for _ in range(4)]
    await asyncio.sleep(0.05)

    assert (
        await asyncio.wait_for(current.search(lambda reader: threading.get_ident()), PATIENCE) == threading.get_ident()
    )
    go_on.set()
    assert await asyncio.gather(*busy) == [True] * 4
    await current.stop()


async def test_large_indexes_are_searched_in_a_thread(album, encoder):
    """Work that takes its time keeps the event loop free."""
    album.build(encoder)
    metrics = IndexMetrics(CollectorRegistry())
    large = CurrentIndex(album.index, poll_s=60, threads=2, metrics=metrics, small_values=11)  # four colours have 12
    await large.start(encoder.fingerprint)

    assert await large.search(lambda reader: threading.get_ident()) != threading.get_ident()
    await large.stop()


async def test_no_version_is_unavailable(current, encoder):
    """Without an index there is nothing to use, before and after start and stop."""
    await current.start(encoder.fingerprint)
    for call in (current.use, current.search):
        with pytest.raises(Unavailable):
            await call(lambda reader: reader)
    await current.stop()

    with pytest.raises(Unavailable):
        await current.use(lambda reader: reader)


async def test_refused_version_is_not_read_again_at_once(current, album, encoder):
    """A version that was refused is left alone for a while, although it is still the published one."""
    version = album.build(encoder)
    vectors = album.index / "versions" / version / "vectors.npy"
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:-1] + b"?")
    await current.start(encoder.fingerprint)
    refused = current.not_ready()
    vectors.write_bytes(whole)
    await current.refresh()
    still_refused = current.not_ready()
    again = album.build(encoder)
    publish(album.index, again)
    await current.refresh()

    assert "vectors.npy" in refused["index"]
    assert still_refused == refused
    assert current.not_ready() == {}
    await current.stop()
