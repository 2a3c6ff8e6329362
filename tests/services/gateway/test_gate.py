"""A bound on what is asked for at once."""

import asyncio

import pytest

from imagetext.wire.errors import Busy, DeadlineExceeded
from services.gateway.deadline import Deadline, Gate
from tests.timeless import timeless

pytestmark = timeless


class Room:
    """Counts who is inside; lets nobody out until it is told to."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.inside = 0
        self.most = 0
        self.open = asyncio.Event()

    async def visit(self, patience_s: float = 5) -> None:
        async with self.gate.passed(Deadline.after(patience_s)):
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.open.wait()
            self.inside -= 1


async def test_bounds():
    """So many are inside, so many wait, the others are told to come back, and all who waited get their turn."""
    room = Room(Gate(at_once=2, queue=3))
    visits = [asyncio.create_task(room.visit()) for _ in range(8)]
    await asyncio.sleep(0.01)
    room.open.set()
    outcomes = await asyncio.gather(*visits, return_exceptions=True)

    assert room.most == 2
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 5 + [Busy] * 3


async def test_waiting_ends_with_the_deadline():
    """Who waits longer than the deadline is told so and leaves the queue."""
    gate = Gate(at_once=1, queue=1)
    room = Room(gate)
    first = asyncio.create_task(room.visit())
    await asyncio.sleep(0.01)
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            await room.visit(patience_s=0.02)
    room.open.set()
    await first
    await room.visit()

    assert room.inside == 0


async def test_places_come_back():
    """A place is free again after an error and after a cancelled visit."""
    room = Room(Gate(at_once=1, queue=0))
    visit = asyncio.create_task(room.visit())
    await asyncio.sleep(0.01)
    with pytest.raises(Busy):
        await room.visit()
    visit.cancel()
    await asyncio.gather(visit, return_exceptions=True)
    with pytest.raises(ValueError):
        async with room.gate.passed(Deadline.after(1)):
            raise ValueError
    room.open.set()
    await room.visit()
