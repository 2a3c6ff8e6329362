"""The log of a run: lines of JSON, and files that TensorBoard reads."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from training.run_log import RunLog


def events(file: Path) -> Iterator[Event]:
    """What a file holds, read as TensorBoard does: length, its checksum, record, its checksum."""
    data, place = file.read_bytes(), 0
    while place < len(data):
        length, checksum = struct.unpack_from("<QI", data, place)
        record = data[place + 12 : place + 12 + length]
        assert checksum == masked_crc32c(data[place : place + 8])
        assert struct.unpack_from("<I", data, place + 12 + length) == (masked_crc32c(record),)
        yield Event.FromString(record)
        place += 16 + length


def shown(folder: Path) -> dict[str, dict[int, float]]:
    """Each curve by step, as TensorBoard shows a folder: what a new start repeats is forgotten."""
    curves: dict[str, dict[int, float]] = {}
    for file in sorted(folder.glob("*tfevents*")):
        for event in events(file):
            if event.session_log.status == SessionLog.START:
                curves = {tag: {s: v for s, v in one.items() if s < event.step} for tag, one in curves.items()}
            for value in event.summary.value:
                curves.setdefault(value.tag, {})[event.step] = value.simple_value
    return curves


def test_numbers_are_curves_over_the_passes(tmp_path: Path) -> None:
    """Each number has a curve, named by its place in the record; words and records of no pass are in the lines only."""
    log = RunLog(tmp_path / "work" / "log.jsonl")

    log.write(epoch=1, loss=3.5, dev={"flickr": {"r1": 20.5}, "cider": 0.25}, start="folder")
    log.write(epoch=2, loss=2.5, dev={"flickr": {"r1": 30.0}, "cider": 0.5})
    log.write(blend=0.5, dev={"cider": 0.75})

    curves = shown(tmp_path / "work")
    assert curves.pop("seconds").keys() == {1, 2}
    assert curves == {"loss": {1: 3.5, 2: 2.5}, "dev/flickr/r1": {1: 20.5, 2: 30.0}, "dev/cider": {1: 0.25, 2: 0.5}}
    lines = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    assert [line["dev"]["cider"] for line in lines] == [0.25, 0.5, 0.75]


def test_a_resumed_run_goes_on_with_its_curves(tmp_path: Path) -> None:
    """Passes that are repeated replace what was written of them; those before stay."""
    first, second = RunLog(tmp_path / "log.jsonl"), RunLog(tmp_path / "log.jsonl")

    for epoch in (1, 2, 3):
        first.write(epoch=epoch, loss=float(epoch))
    second.write(epoch=2, loss=20.0)

    assert shown(tmp_path)["loss"] == {1: 1.0, 2: 20.0}
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def test_each_phase_has_curves_of_its_own(tmp_path: Path) -> None:
    """The second phase counts from one again; resumed, it leaves the curves of the first alone."""
    log = RunLog(tmp_path / "log.jsonl")

    log.write(phase="cross-entropy", epoch=1, loss=4.0)
    log.write(phase="cross-entropy", epoch=2, loss=3.0)
    log.write(phase="self-critical", epoch=1, reward=0.5)

    assert shown(tmp_path / "cross-entropy")["loss"] == {1: 4.0, 2: 3.0}
    assert shown(tmp_path / "self-critical")["reward"] == {1: 0.5}
