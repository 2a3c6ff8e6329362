"""Inference engines behind one seam: a network with example inputs goes in, a function of arrays comes out."""

from imagetext.engines.choice import Engines, Loaded
from imagetext.engines.program import Array, Program, Run, run_in_torch
from imagetext.engines.speed import best_size, joined

__all__ = ["Array", "Engines", "Loaded", "Program", "Run", "best_size", "joined", "run_in_torch"]
