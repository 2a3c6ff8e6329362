"""Inference engines behind one seam: a network with example inputs goes in, a function of arrays comes out."""

from imagetext.engines.choice import Engines
from imagetext.engines.program import Array, Program, Run, run_in_torch

__all__ = ["Array", "Engines", "Program", "Run", "run_in_torch"]
