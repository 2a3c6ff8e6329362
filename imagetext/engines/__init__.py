"""Inference engines behind one seam: an exported network goes in, a function of arrays comes out.

Nothing here imports torch: `export.py` does, and only who exports, trains or compares with torch imports that.
"""

from imagetext.engines.choice import Engines, Loaded
from imagetext.engines.network import Array, Network, Run
from imagetext.engines.trial import best_size, joined

__all__ = ["Array", "Engines", "Loaded", "Network", "Run", "best_size", "joined"]
