"""Whether an engine gives what torch gives."""

from collections.abc import Sequence

import numpy as np

from imagetext.engines.network import Array, Network, Run

PROMISED = 0.999  # cosine of every row with torch's
# Of a few inputs half of that error is allowed, since the worst of thousands is further off than the worst of these.
AT_START = 1 - (1 - PROMISED) / 2


def disagreement(run: Run, network: Network) -> str | None:
    """How an engine differs from torch on the network's cases by more than is allowed; None where it agrees."""
    for inputs, expected in network.cases:
        found = run(*inputs)
        if [one.shape for one in found] != [one.shape for one in expected]:
            return "its outputs have other shapes"
        if (cosine := _lowest_cosine(found, expected)) < AT_START:
            return f"cosine {cosine:.5f}, at least {AT_START} is needed"
        if network.tolerance is not None:
            largest = float(np.abs(found[0] - expected[0]).max(initial=0.0))
            if not largest <= network.tolerance:  # NaN fails this, too
                return f"off by {largest:.4f}, at most {network.tolerance} is allowed"
    return None


def _lowest_cosine(found: Sequence[Array], expected: Sequence[Array]) -> float:
    """Of all rows of floating-point outputs; integers may differ where two of them are all but equal."""
    pairs = zip(found, expected, strict=True)
    return min(
        (_cosine(mine, theirs) for mine, theirs in pairs if theirs.size and np.issubdtype(theirs.dtype, np.floating)),
        default=1.0,
    )


def _cosine(mine: Array, theirs: Array) -> float:
    """The lowest of all rows; minus infinity where there is a NaN."""
    mine, theirs = (each.reshape(len(each), -1).astype(np.float64) for each in (mine, theirs))
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(np.nan_to_num((mine * theirs).sum(1) / np.maximum(lengths, 1e-12), nan=-np.inf).min())
