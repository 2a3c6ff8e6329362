"""Inference engines behind one interface: an exported network goes in, a function of arrays comes out.

Only `export.py` and `int8.py` import torch, and only export, training and comparisons import those.
"""

from imagetext.engines.choice import Engines, Loaded
from imagetext.engines.network import Array, Network, Run
from imagetext.engines.trial import best_size, joined

__all__ = ["Array", "Engines", "Loaded", "Network", "Run", "best_size", "joined"]
