"""Which replica gets the next request."""

import socket
from collections import Counter

import pytest

from imagetext.wire.errors import Unavailable
from services.gateway.replicas import Replicas


class Names:
    def __init__(self, **names: list[str]) -> None:
        self.names = names
        self.fail = False

    async def resolve(self, host: str, port: int) -> list[str]:
        if self.fail or host not in self.names:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return self.names[host]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def replicas_of(names: Names, *bases: str, clock: Clock | None = None) -> Replicas:
    return Replicas("caption", bases, resolve=names.resolve, avoided_s=5, clock=clock or Clock())


async def test_all_addresses_of_a_name():
    """Requests that follow one another are spread over all addresses of a name, port and scheme kept."""
    replicas = replicas_of(Names(caption=["10.0.0.1", "10.0.0.2", "fd00::1"]), "http://caption:8001")
    chosen = Counter([str((await replicas.choose()).url) for _ in range(300)])

    assert chosen.keys() == {"http://10.0.0.1:8001", "http://10.0.0.2:8001", "http://[fd00::1]:8001"}
    assert min(chosen.values()) > 30


async def test_several_base_addresses():
    """Several base addresses are replicas of one service, also on one machine."""
    replicas = replicas_of(Names(a=["10.0.0.1"], b=["10.0.0.1"]), "http://a:1", "http://b:2")
    chosen = {str((await replicas.choose()).url) for _ in range(100)}

    assert chosen == {"http://10.0.0.1:1", "http://10.0.0.1:2"}


async def test_least_outstanding():
    """The replica with the fewest requests under way gets the next."""
    replicas = replicas_of(Names(caption=["10.0.0.1", "10.0.0.2"]), "http://caption:8001")
    busy = await replicas.choose()
    with busy.occupied():
        idle = await replicas.choose()
        with idle.occupied(), idle.occupied():
            assert await replicas.choose() is busy
    assert busy is not idle
    assert (busy.outstanding, idle.outstanding) == (0, 0)


async def test_avoided_replicas():
    """A replica to avoid is passed over for its time, and taken all the same when there is no other."""
    clock = Clock()
    replicas = replicas_of(Names(caption=["10.0.0.1", "10.0.0.2"]), "http://caption:8001", clock=clock)
    avoided = await replicas.choose()
    replicas.avoid(avoided)
    others = {await replicas.choose() for _ in range(50)}
    clock.now = 5
    later = {await replicas.choose() for _ in range(50)}

    assert avoided not in others
    assert avoided in later
    [only] = others
    replicas.avoid(only)
    replicas.avoid(avoided)
    assert await replicas.choose(but=only) is avoided


async def test_replicas_come_and_go():
    """New addresses take part after a refresh, gone ones do not, and those that stay keep their count."""
    names = Names(caption=["10.0.0.1", "10.0.0.2"])
    replicas = replicas_of(names, "http://caption:8001")
    await replicas.refresh()
    staying = await replicas.choose()
    names.names["caption"] = [staying.address, "10.0.0.3"]
    with staying.occupied():
        await replicas.refresh()
        chosen = {(await replicas.choose()).address for _ in range(50)}

    assert chosen == {"10.0.0.3"}
    assert replicas.has_other(staying)


async def test_names_that_stop_resolving():
    """While a name cannot be resolved, its last addresses serve; before the first time the service is unavailable."""
    names = Names(caption=["10.0.0.1"])
    replicas = replicas_of(names, "http://caption:8001")
    names.fail = True
    with pytest.raises(Unavailable):
        await replicas.choose()
    names.fail = False
    known = await replicas.choose()
    names.fail = True
    await replicas.refresh()

    assert await replicas.choose() is known
