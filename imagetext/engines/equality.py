"""Whether an engine gives what torch gives."""

from collections.abc import Sequence

import numpy as np

from imagetext.engines.program import Array, Program, Run, arrays

PROMISED = 0.999  # cosine of every row with torch's
# Of a few inputs half of that error is allowed, since the worst of thousands is further off than the worst of these.
AT_START = 1 - (1 - PROMISED) / 2


def agrees(run: Run, reference: Run, program: Program) -> bool:
    """Whether an engine gives what torch gives, on the example and on inputs of other lengths."""
    for tensors in (program.example, *program.others):
        inputs = arrays(tensors)
        found, expected = run(*inputs), [np.array(output) for output in reference(*inputs)]
        if not _alike(found, expected) or not _near(found[0], expected[0], program.tolerance):
            return False
    return True


def _near(found: Array, expected: Array, tolerance: float | None) -> bool:
    return tolerance is None or bool(np.abs(found - expected).max(initial=0.0) <= tolerance)


def _alike(found: Sequence[Array], expected: Sequence[Array]) -> bool:
    """Whether every row of numbers points where torch's does; whole numbers may differ where two are all but equal."""
    if [one.shape for one in found] != [one.shape for one in expected]:
        return False
    pairs = [pair for pair in zip(found, expected, strict=True) if np.issubdtype(pair[1].dtype, np.floating)]
    return all(_cosine(mine, theirs) >= AT_START for mine, theirs in pairs if theirs.size)


def _cosine(mine: Array, theirs: Array) -> float:
    """The lowest of all rows."""
    mine, theirs = (each.reshape(len(each), -1).astype(np.float64) for each in (mine, theirs))
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(np.min((mine * theirs).sum(1) / np.maximum(lengths, 1e-12)))
