"""Adds pictures to an index without end, and says of each that it is kept; to be killed."""

import sys
from pathlib import Path

from imagetext.index.changes.journal_writer import JournalWriter
from tests.imagetext.index.changes import addition


def main() -> None:
    index, name, batch = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    writer, number = JournalWriter(index), 0
    while True:
        paths = [f"{name}/{number + each}.jpg" for each in range(batch)]
        writer.append([addition(index, path, number) for path in paths])
        sys.stdout.write("".join(f"{path}\n" for path in paths))
        sys.stdout.flush()
        number += batch


if __name__ == "__main__":
    main()
